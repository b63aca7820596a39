"""The fleetlake command for spark-submit: spark-submit ... fleetlake_main.py ingest --engine spark --master submit."""

from fleetlake.cli.main import main

if __name__ == "__main__":
    main()
