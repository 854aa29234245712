-- The table of judgements, and what keeps it in order.
-- Lengths are bounded so that model, intent and project always fit into one index entry (2,704 bytes).

CREATE TABLE feedback (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    feedback_id      uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    "timestamp"      timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    query            text NOT NULL,
    response         text NOT NULL,
    model            text NOT NULL CHECK (char_length(model) BETWEEN 1 AND 200),
    rating           smallint NOT NULL CHECK (rating IN (-1, 1)),
    reason           text,
    category         text CHECK (category IN ('hallucination', 'wrong_tool', 'missing_citation', 'policy_denial')),
    expected_answer  text,
    memory_used      bigint NOT NULL DEFAULT 0 CHECK (memory_used >= 0),
    tools_called     text[] NOT NULL DEFAULT '{}',
    user_id          text CHECK (char_length(user_id) BETWEEN 1 AND 256),
    session_id       text CHECK (char_length(session_id) BETWEEN 1 AND 256),
    intent           text CHECK (char_length(intent) <= 100),
    project          text CHECK (char_length(project) <= 200),
    metadata         jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    -- What joins a row with the record of the production log that it judges.
    trace_id         text CHECK (char_length(trace_id) BETWEEN 1 AND 256),
    client_id        text CHECK (char_length(client_id) BETWEEN 1 AND 128),
    workload_id      text CHECK (char_length(workload_id) BETWEEN 1 AND 128),
    -- A key holds as long as its row; the scope is the caller's, so that two callers' keys never meet.
    idempotency_scope text,
    idempotency_key   text CHECK (char_length(idempotency_key) BETWEEN 1 AND 200),
    request_digest    bytea,
    CHECK ((idempotency_key IS NULL) = (request_digest IS NULL)),
    CHECK ((idempotency_key IS NULL) = (idempotency_scope IS NULL))
);

CREATE INDEX feedback_by_time ON feedback ("timestamp", id);
CREATE INDEX feedback_by_user ON feedback (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX feedback_by_workload ON feedback (client_id, workload_id, "timestamp") WHERE client_id IS NOT NULL;
CREATE INDEX feedback_by_trace ON feedback (trace_id) WHERE trace_id IS NOT NULL;
CREATE UNIQUE INDEX feedback_idempotency ON feedback (idempotency_scope, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

CREATE FUNCTION update_updated_at_column() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;

CREATE TRIGGER trigger_update_feedback_timestamp BEFORE UPDATE ON feedback
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

-- The rows of the last 7 days as training data; `target` is what a model should answer.
CREATE FUNCTION get_weekly_finetuning_dataset()
RETURNS TABLE (
    feedback_id uuid, query text, response text, target text, weight double precision, model text,
    rating smallint, "timestamp" timestamptz, intent text, project text, category text, reason text,
    expected_answer text
)
LANGUAGE sql STABLE AS $$
    SELECT f.feedback_id, f.query, f.response,
           CASE WHEN f.rating = -1 THEN coalesce(f.expected_answer, f.response) ELSE f.response END,
           CASE WHEN f.rating = 1 THEN 2.0 ELSE 0.5 END::double precision,
           f.model, f.rating, f."timestamp", f.intent, f.project, f.category, f.reason, f.expected_answer
    FROM feedback f
    WHERE f."timestamp" >= now() - interval '7 days'
    ORDER BY f."timestamp", f.id
$$;
