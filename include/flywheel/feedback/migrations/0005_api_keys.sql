-- Keys of applications that call the API where it is served alone, and what the application role may do.

CREATE TABLE api_keys (
    key_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL UNIQUE CHECK (char_length(name) BETWEEN 1 AND 200),
    digest     bytea NOT NULL UNIQUE CHECK (length(digest) = 32),
    -- NULL: every project, and rows without one.
    project    text CHECK (char_length(project) BETWEEN 1 AND 200),
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);

-- What the API needs and no more: the counters, the rollups and the view change through the functions only, and
-- keys are made by the owner.
CREATE FUNCTION grant_feedback_access(to_role name) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', to_role);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON feedback TO %I', to_role);
    EXECUTE format('GRANT SELECT, INSERT ON feedback_exports, feedback_export_users TO %I', to_role);
    EXECUTE format(
        'GRANT SELECT ON feedback_counters, feedback_pending, feedback_groups, feedback_scopes, '
        'feedback_group_scopes, feedback_daily, feedback_seen, feedback_last_days, model_accuracy_now, '
        'model_accuracy_by_intent, api_keys, schema_migrations TO %I',
        to_role
    );
    EXECUTE format('GRANT EXECUTE ON FUNCTION fold_feedback(integer), refresh_model_accuracy() TO %I', to_role);
END
$$;

REVOKE EXECUTE ON FUNCTION
    add_feedback_count(text, text, text, integer, integer), merge_feedback_shards(), refresh_model_accuracy(),
    add_feedback_group(text, text, text), fold_feedback(integer), add_feedback_seen(feedback_pending[]),
    raise_feedback_last_days(feedback_pending[]),
    move_feedback_last_days(feedback_last_day[], feedback_last_day[]), rebuild_feedback_rollups(),
    note_feedback_change(integer, feedback), grant_feedback_access(name)
FROM PUBLIC;
