"""`python -m tests.bench`: speed as ratios, into the tables of README and log."""

from tests.bench import whole

if __name__ == "__main__":
    whole.main()
