-- Files that hold rows of the table: exports for training, and archives of old rows.

CREATE TABLE feedback_exports (
    export_id  uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    kind       text NOT NULL CHECK (kind IN ('export', 'archive')),
    path       text NOT NULL,
    digest     text NOT NULL,
    start_date timestamptz,
    end_date   timestamptz,
    filters    jsonb NOT NULL DEFAULT '{}',
    rows       bigint NOT NULL CHECK (rows >= 0),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX feedback_exports_by_time ON feedback_exports (created_at);

-- Whose rows a file holds: SHA-256 of user_id, so that a user who was erased is not named here, and the list of
-- the files that still hold the user's rows can be asked for again. Rows that were deleted since count too.
CREATE TABLE feedback_export_users (
    user_digest bytea NOT NULL CHECK (length(user_digest) = 32),
    export_id   uuid NOT NULL REFERENCES feedback_exports ON DELETE CASCADE,
    PRIMARY KEY (user_digest, export_id)
);

CREATE INDEX feedback_export_users_by_export ON feedback_export_users (export_id);
