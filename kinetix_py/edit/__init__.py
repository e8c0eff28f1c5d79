"""An editor of levels in a browser, on the engine itself."""
