"""One file a page; `ui/app.py` names them in its navigation."""
