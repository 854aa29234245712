-- Accuracy by model, intent and project: counters that the trigger keeps, and the view that counts the table.
-- Rows without an intent or a project count under ''.

-- Each session of the server counts in a row of its own: writers never wait for each other, and never deadlock.
-- Shard 0 holds what sessions that are over have counted.
CREATE TABLE feedback_counters (
    model        text NOT NULL,
    intent       text NOT NULL,
    project      text NOT NULL,
    shard        integer NOT NULL,
    positive     bigint NOT NULL,
    negative     bigint NOT NULL,
    last_updated timestamptz NOT NULL,
    PRIMARY KEY (model, intent, project, shard)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- Called by what sets the search path and the rights: to do so again for each row costs more than the count.
CREATE FUNCTION add_feedback_count(
    of_model text, of_intent text, of_project text, more_positive integer, more_negative integer
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE feedback_counters
    SET positive = positive + more_positive, negative = negative + more_negative, last_updated = now()
    WHERE model = of_model AND intent = of_intent AND project = of_project AND shard = pg_backend_pid();
    IF NOT FOUND THEN
        INSERT INTO feedback_counters AS c
        VALUES (of_model, of_intent, of_project, pg_backend_pid(), more_positive, more_negative, now())
        ON CONFLICT (model, intent, project, shard) DO UPDATE
        SET positive = c.positive + excluded.positive, negative = c.negative + excluded.negative,
            last_updated = excluded.last_updated;
    END IF;
END
$$;

-- Adds the shards of sessions that are over to shard 0. Waits for no writer; one at a time.
CREATE FUNCTION merge_feedback_shards() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    merged integer;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('merge_feedback_shards'));
    WITH ended AS (
        SELECT model, intent, project, shard FROM feedback_counters
        WHERE shard <> 0 AND shard NOT IN (SELECT pid FROM pg_stat_activity)
        FOR UPDATE SKIP LOCKED
    ), taken AS (
        DELETE FROM feedback_counters c USING ended e
        WHERE (c.model, c.intent, c.project, c.shard) = (e.model, e.intent, e.project, e.shard)
        RETURNING c.*
    ), added AS (
        INSERT INTO feedback_counters AS c
        SELECT model, intent, project, 0, sum(positive), sum(negative), max(last_updated) FROM taken
        GROUP BY model, intent, project
        ON CONFLICT (model, intent, project, shard) DO UPDATE
        SET positive = c.positive + excluded.positive, negative = c.negative + excluded.negative,
            last_updated = greatest(c.last_updated, excluded.last_updated)
    )
    SELECT count(*) INTO merged FROM taken;
    RETURN merged;
END
$$;

-- The counters as they are now.
CREATE VIEW model_accuracy_now AS
SELECT model, intent, project,
       (sum(positive) + sum(negative))::bigint AS total_feedback,
       sum(positive)::bigint AS positive_feedback,
       sum(negative)::bigint AS negative_feedback,
       round(100.0 * sum(positive) / (sum(positive) + sum(negative)), 2) AS accuracy_percentage,
       max(last_updated) AS last_updated
FROM feedback_counters
GROUP BY model, intent, project
HAVING sum(positive) + sum(negative) <> 0;

-- The same, counted from the table when it was last refreshed. REFRESH … CONCURRENTLY takes a unique index on
-- columns only, so what may be NULL is made a column here.
CREATE MATERIALIZED VIEW model_accuracy_by_intent AS
SELECT model, coalesce(intent, '') AS intent, coalesce(project, '') AS project,
       count(*) AS total_feedback,
       count(*) FILTER (WHERE rating = 1) AS positive_feedback,
       count(*) FILTER (WHERE rating = -1) AS negative_feedback,
       round(100.0 * count(*) FILTER (WHERE rating = 1) / count(*), 2) AS accuracy_percentage,
       max(updated_at) AS last_updated
FROM feedback
GROUP BY model, coalesce(intent, ''), coalesce(project, '')
WITH DATA;

CREATE UNIQUE INDEX model_accuracy_by_intent_key ON model_accuracy_by_intent (model, intent, project);

-- Only an owner may refresh a view: others do it through this function. It also tidies the counters.
CREATE FUNCTION refresh_model_accuracy() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM merge_feedback_shards();
    REFRESH MATERIALIZED VIEW CONCURRENTLY model_accuracy_by_intent;
END
$$;

CREATE FUNCTION count_feedback() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM add_feedback_count(
            OLD.model, coalesce(OLD.intent, ''), coalesce(OLD.project, ''),
            -(OLD.rating = 1)::integer, -(OLD.rating = -1)::integer
        );
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM add_feedback_count(
            NEW.model, coalesce(NEW.intent, ''), coalesce(NEW.project, ''),
            (NEW.rating = 1)::integer, (NEW.rating = -1)::integer
        );
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER trigger_refresh_accuracy
    AFTER INSERT OR DELETE OR UPDATE OF model, intent, project, rating ON feedback
    FOR EACH ROW EXECUTE FUNCTION count_feedback();

CREATE FUNCTION clear_feedback_counts() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    DELETE FROM feedback_counters;
    RETURN NULL;
END
$$;

CREATE TRIGGER trigger_clear_accuracy AFTER TRUNCATE ON feedback
    FOR EACH STATEMENT EXECUTE FUNCTION clear_feedback_counts();

INSERT INTO feedback_counters
SELECT model, coalesce(intent, ''), coalesce(project, ''), 0,
       count(*) FILTER (WHERE rating = 1), count(*) FILTER (WHERE rating = -1), max(updated_at)
FROM feedback
GROUP BY 1, 2, 3;
