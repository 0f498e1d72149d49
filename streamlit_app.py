"""Entry of the app: page configuration and navigation."""

from pathlib import Path

import streamlit as st

from app import shell
from rtdetr_explained.illustrations.stages import STAGES

HERE = Path(__file__).parent

st.set_page_config(page_title="RT-DETRv2 explained", page_icon=HERE / "app" / "icon.png", layout="wide")
pages = {slug: st.Page(f"app/stages/{slug}.py", title=stage.title, url_path=slug) for slug, stage in STAGES.items()}
# The bare address shows the first stage, too; a default page cannot have a path of its own.
home = st.Page("app/stages/overview.py", title=STAGES["overview"].title, url_path="home", default=True)
shell.run(st.navigation([home, *pages.values()], position="hidden"), pages)
