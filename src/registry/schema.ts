/** The hub's state, first version. Ids are never used twice: a token of a removed account fits nobody who comes after. */
const first = `
  CREATE TABLE accounts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    password TEXT NOT NULL,
    password_version INTEGER NOT NULL DEFAULT 1,
    default_private INTEGER NOT NULL DEFAULT 0,
    created INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE credentials (
    hash BLOB PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    purpose TEXT NOT NULL,
    password_version INTEGER NOT NULL,
    expires INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE keys (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
  CREATE TABLE repositories (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name TEXT NOT NULL UNIQUE,
    private INTEGER NOT NULL,
    updated INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX repositories_of_account ON repositories (account, name);
  CREATE TABLE blobs (
    repository INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    digest TEXT NOT NULL,
    size INTEGER NOT NULL,
    linked INTEGER NOT NULL,
    PRIMARY KEY (repository, digest)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX blobs_by_digest ON blobs (digest);
  CREATE TABLE manifests (
    repository INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    image_size INTEGER NOT NULL,
    subject TEXT,
    artifact_type TEXT,
    annotations TEXT,
    pushed INTEGER NOT NULL,
    PRIMARY KEY (repository, digest)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX manifests_by_digest ON manifests (digest);
  CREATE INDEX manifests_by_subject ON manifests (repository, subject) WHERE subject IS NOT NULL;
  CREATE TABLE manifest_parts (
    repository INTEGER NOT NULL,
    manifest TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (repository, manifest, digest),
    FOREIGN KEY (repository, manifest) REFERENCES manifests (repository, digest) ON DELETE CASCADE
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX manifest_parts_by_digest ON manifest_parts (repository, digest);
  CREATE TABLE tags (
    repository INTEGER NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    updated INTEGER NOT NULL,
    PRIMARY KEY (repository, name),
    FOREIGN KEY (repository, digest) REFERENCES manifests (repository, digest) ON DELETE CASCADE
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX tags_by_digest ON tags (repository, digest);
  CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    repository TEXT NOT NULL,
    started INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
`;

/** Organisations, invitations, personal tokens, limits, records of what happened, and the class board. */
const second = `
  ALTER TABLE accounts ADD COLUMN kind TEXT NOT NULL DEFAULT 'user';
  ALTER TABLE accounts ADD COLUMN admin INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE accounts ADD COLUMN about TEXT NOT NULL DEFAULT '';
  ALTER TABLE accounts ADD COLUMN quota_bytes INTEGER;
  ALTER TABLE accounts ADD COLUMN quota_repositories INTEGER;
  ALTER TABLE repositories ADD COLUMN immutable INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE repositories ADD COLUMN readme TEXT NOT NULL DEFAULT '';
  CREATE TABLE members (
    org INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    PRIMARY KEY (org, account)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX members_by_account ON members (account);
  CREATE TABLE teams (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    org INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    UNIQUE (org, name)
  ) STRICT;
  CREATE TABLE team_members (
    team INTEGER NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    PRIMARY KEY (account, team)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE team_grants (
    team INTEGER NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    repository INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    PRIMARY KEY (repository, team)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE invitations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hash BLOB NOT NULL UNIQUE,
    org INTEGER REFERENCES accounts (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    uses INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    created INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE personal_tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    hash BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    scope TEXT NOT NULL,
    repository TEXT,
    created INTEGER NOT NULL,
    expires INTEGER,
    used INTEGER
  ) STRICT;
  CREATE INDEX personal_tokens_of_account ON personal_tokens (account);
  CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    address TEXT NOT NULL
  ) STRICT;
  CREATE TABLE pulls (
    repository INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    day INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (repository, day)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE posts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    org INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    repository INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    word TEXT NOT NULL,
    created INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX posts_of_org ON posts (org, id);
  CREATE TABLE comments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    post INTEGER NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    text TEXT NOT NULL,
    created INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX comments_of_post ON comments (post, id);
  CREATE TABLE reactions (
    post INTEGER NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    emoji TEXT NOT NULL,
    PRIMARY KEY (post, account, emoji)
  ) STRICT, WITHOUT ROWID;
`;

/** Namespaces that are filled from another registry, and who is told of pushes. */
const third = `
  CREATE TABLE mirrors (
    account INTEGER PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    upstream TEXT NOT NULL,
    username TEXT,
    password TEXT,
    ttl INTEGER NOT NULL,
    anonymous INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE mirrored_tags (
    repository INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    checked INTEGER NOT NULL,
    PRIMARY KEY (repository, name)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE webhooks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    url TEXT NOT NULL,
    secret TEXT NOT NULL,
    told INTEGER,
    answer TEXT
  ) STRICT;
  CREATE INDEX webhooks_of_account ON webhooks (account);
`;

/** Where the bytes of blobs and uploads are, for hubs that share a bucket. */
const fourth = `
  CREATE TABLE s3_objects (
    digest TEXT PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE s3_uploads (
    id TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    key TEXT NOT NULL,
    multipart TEXT,
    tail TEXT,
    sealed INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX s3_uploads_by_key ON s3_uploads (key);
  CREATE INDEX s3_uploads_by_tail ON s3_uploads (tail);
  CREATE TABLE s3_parts (
    upload TEXT NOT NULL REFERENCES s3_uploads (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    etag TEXT NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (upload, number)
  ) STRICT, WITHOUT ROWID;
`;

/** Each brings the database from the version before it to its own; they only ever grow at the end. */
export const migrations: readonly string[] = [first, second, third, fourth];

/** A piece of schema, written as SQLite has it, for PostgreSQL: names are compared byte by byte there, too. */
export const forPostgres = (schema: string): string =>
  schema
    .replaceAll('INTEGER PRIMARY KEY AUTOINCREMENT', 'BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY')
    .replaceAll('INTEGER', 'BIGINT')
    .replaceAll('BLOB', 'BYTEA')
    .replaceAll('TEXT', 'TEXT COLLATE "C"')
    .replace(/\) STRICT(?:, WITHOUT ROWID)?;/g, ');');
