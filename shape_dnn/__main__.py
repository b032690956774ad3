"""``python -m shape_dnn``."""

from shape_dnn.cli import main

if __name__ == "__main__":
    main()
