"""User interfaces: the ``arithmoscope`` command and the Streamlit explorer. No analyses here."""
