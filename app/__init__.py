"""The Streamlit layer: pages, widgets and the view state. It asks the library for every number and every figure."""
