"""`python -m tests.bench`: every measurement, as ratios."""

from tests.bench import unet_call

if __name__ == "__main__":
    unet_call.main()
