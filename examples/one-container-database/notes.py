#!/usr/bin/python3 -u
"""Keeps notes: POST / writes one and answers once it is committed, GET / lists them."""
import json
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg2

SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (id bigserial PRIMARY KEY, text text NOT NULL, written timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS readings (note bigint PRIMARY KEY REFERENCES notes, letters int NOT NULL, reader text NOT NULL);
GRANT SELECT ON notes TO board;
GRANT SELECT, INSERT ON readings TO board;
"""


class Database:
    """One connection, for one request at a time."""

    def __init__(self):
        self.lock = threading.Lock()
        self.connection = psycopg2.connect("dbname=notes user=notes application_name=notes.py")
        self.run(SCHEMA)

    def run(self, statement, values=()):
        with self.lock, self.connection, self.connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        [(number, _)] = database.run(
            "WITH note AS (INSERT INTO notes (text) VALUES (%s) RETURNING id) SELECT id, pg_notify('notes', '') FROM note",
            (text,),
        )
        self.answer(201, {"id": number, "text": text})

    def do_GET(self):
        rows = database.run("SELECT id, text FROM notes ORDER BY id")
        self.answer(200, [{"id": number, "text": text} for number, text in rows])

    def answer(self, status, value):
        body = json.dumps(value).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, form, *values):
        print("notes.py:", form % values)


def handled(handle):
    """A lost database ends the program: whoever started it starts it again."""

    def answering(self):
        try:
            handle(self)
        except psycopg2.Error as error:
            self.answer(503, {"error": str(error).strip()})
            if database.connection.closed:
                threading.Thread(target=server.shutdown).start()

    return answering


for method in ("do_GET", "do_POST"):
    setattr(Handler, method, handled(getattr(Handler, method)))

database = Database()
server = ThreadingHTTPServer(("", 8080), Handler)
server.daemon_threads = True
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
print("notes.py: listening on port 8080")
server.serve_forever()
sys.exit(1 if database.connection.closed else 0)
