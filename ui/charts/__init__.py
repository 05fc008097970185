"""Charts as Altair objects, drawn from plain data: no Streamlit in here."""
