"""A Flask app of one's own that can list and merge models.

flask --app examples/own_flask_app.py run
"""

from __future__ import annotations

from flask import Flask

from toolkit.web import add_smart_merge_routes

app = Flask(__name__)
add_smart_merge_routes(app)  # GET /find_models, POST /smart_merge


@app.get("/")
def index() -> str:
    return "models: /find_models"
