"""`python -m tests.bench`: speed as ratios, written into RESULTS.md."""

from tests.bench import whole

if __name__ == "__main__":
    whole.main()
