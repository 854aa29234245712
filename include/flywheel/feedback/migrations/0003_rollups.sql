-- Counts by day (UTC), so that statistics of 7, 30 or 90 days do not read the table; users and sessions exact.
--
-- A write notes its change in feedback_pending, where it waits for nobody. fold_feedback() adds what is pending to
-- the rollups, many changes at once; whoever reads a rollup folds first and so misses nothing.
--
-- Distinct counts do not add up over days. What adds up is how many users were last seen on each day: the users of
-- the days since D are those whose last day is D or later. That is kept for each filter that can be asked for
-- (model, intent, project, each given or not: 8 scopes for each group).

CREATE TABLE feedback_pending (
    sign        smallint NOT NULL,
    day         date NOT NULL,
    model       text NOT NULL,
    intent      text NOT NULL,
    project     text NOT NULL,
    rating      smallint NOT NULL,
    category    text NOT NULL,
    memory_used bigint NOT NULL,
    user_id     text,
    session_id  text,
    -- What came is folded before what took it away: a session that sees a row's end has seen its beginning.
    change_id   bigint GENERATED ALWAYS AS IDENTITY
) WITH (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = -1, autovacuum_vacuum_cost_delay = 0
);

CREATE TABLE feedback_groups (
    group_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model    text NOT NULL,
    intent   text NOT NULL,
    project  text NOT NULL,
    UNIQUE (model, intent, project)
);

-- NULL stands for any.
CREATE TABLE feedback_scopes (
    scope_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model    text,
    intent   text,
    project  text,
    UNIQUE NULLS NOT DISTINCT (model, intent, project)
);

-- The 8 scopes of a group. `fixed`: which of its names the scope gives; 1 model, 2 intent, 4 project, or a sum.
CREATE TABLE feedback_group_scopes (
    group_id integer NOT NULL REFERENCES feedback_groups,
    fixed    smallint NOT NULL CHECK (fixed BETWEEN 0 AND 7),
    scope_id integer NOT NULL REFERENCES feedback_scopes,
    PRIMARY KEY (group_id, fixed)
);

CREATE TABLE feedback_daily (
    day         date NOT NULL,
    group_id    integer NOT NULL,
    category    text NOT NULL,
    positive    bigint NOT NULL,
    negative    bigint NOT NULL,
    memory_used numeric NOT NULL,
    PRIMARY KEY (day, group_id, category)
) WITH (fillfactor = 70);

-- Who gave feedback in which group on which day, and how often: users and sessions.
CREATE TABLE feedback_seen (
    kind     text NOT NULL CHECK (kind IN ('user', 'session')),
    who      text NOT NULL,
    group_id integer NOT NULL,
    day      date NOT NULL,
    times    bigint NOT NULL,
    PRIMARY KEY (kind, who, group_id, day)
) WITH (fillfactor = 90);

-- How many of them were last seen on a day, by scope.
CREATE TABLE feedback_last_days (
    kind     text NOT NULL,
    scope_id integer NOT NULL,
    day      date NOT NULL,
    people   bigint NOT NULL,
    PRIMARY KEY (kind, scope_id, day)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

CREATE FUNCTION add_feedback_group(of_model text, of_intent text, of_project text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    made integer;
BEGIN
    INSERT INTO feedback_groups (model, intent, project) VALUES (of_model, of_intent, of_project)
    RETURNING group_id INTO made;
    INSERT INTO feedback_scopes (model, intent, project)
    SELECT m, i, p
    FROM unnest(ARRAY[of_model, NULL]) m, unnest(ARRAY[of_intent, NULL]) i, unnest(ARRAY[of_project, NULL]) p
    ON CONFLICT DO NOTHING;
    INSERT INTO feedback_group_scopes
    SELECT made, (model IS NOT NULL)::integer + 2 * (intent IS NOT NULL)::integer
                 + 4 * (project IS NOT NULL)::integer, scope_id
    FROM feedback_scopes
    WHERE (model IS NULL OR model = of_model) AND (intent IS NULL OR intent = of_intent)
      AND (project IS NULL OR project = of_project);
END
$$;

CREATE TYPE feedback_last_day AS (kind text, who text, scope_id integer, day date);

-- The last days of those people, by scope.
CREATE FUNCTION feedback_last_days_of(kinds text[], people text[]) RETURNS feedback_last_day[]
LANGUAGE sql STABLE AS $$
    SELECT array_agg(ROW(kind, who, scope_id, day)::public.feedback_last_day)
    FROM (
        SELECT l.kind, l.who, s.scope_id, max(l.day) AS day
        FROM (
            SELECT seen.kind, seen.who, seen.group_id, max(seen.day) AS day
            FROM unnest(kinds, people) AS asked (kind, who)
            JOIN public.feedback_seen seen ON seen.kind = asked.kind AND seen.who = asked.who
            GROUP BY seen.kind, seen.who, seen.group_id
        ) l
        JOIN public.feedback_group_scopes s USING (group_id)
        GROUP BY l.kind, l.who, s.scope_id
    ) found
$$;

-- Adds at most so many pending changes to the rollups; how many there were. One at a time: others wait.
CREATE FUNCTION fold_feedback(at_most integer DEFAULT 20000) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    taken   feedback_pending[];
    kinds   text[];
    people  text[];
    before  feedback_last_day[];
BEGIN
    IF NOT EXISTS (SELECT FROM feedback_pending) THEN
        RETURN 0;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('fold_feedback'));
    WITH gone AS (
        DELETE FROM feedback_pending
        WHERE ctid = ANY (ARRAY(SELECT ctid FROM feedback_pending ORDER BY change_id LIMIT at_most))
        RETURNING feedback_pending AS one
    )
    SELECT array_agg(one) INTO taken FROM gone;
    IF taken IS NULL THEN
        RETURN 0;
    END IF;

    PERFORM add_feedback_group(model, intent, project)
    FROM (
        SELECT model, intent, project FROM unnest(taken)
        EXCEPT SELECT model, intent, project FROM feedback_groups
    ) missing;

    INSERT INTO feedback_daily AS d
    SELECT t.day, g.group_id, t.category, sum(t.sign * (t.rating = 1)::integer),
           sum(t.sign * (t.rating = -1)::integer), sum(t.sign * t.memory_used::numeric)
    FROM unnest(taken) t JOIN feedback_groups g USING (model, intent, project)
    GROUP BY t.day, g.group_id, t.category
    ON CONFLICT (day, group_id, category) DO UPDATE
    SET positive = d.positive + excluded.positive, negative = d.negative + excluded.negative,
        memory_used = d.memory_used + excluded.memory_used;
    DELETE FROM feedback_daily d USING (SELECT DISTINCT day FROM unnest(taken) WHERE sign < 0) t
    WHERE d.day = t.day AND d.positive = 0 AND d.negative = 0;

    -- Whoever lost a row may have been last seen earlier than before: looked up. Of all others the day can only
    -- rise, so it follows from what is known.
    SELECT array_agg(k), array_agg(w) INTO kinds, people
    FROM (
        SELECT 'user' AS k, user_id AS w FROM unnest(taken) WHERE user_id IS NOT NULL AND sign < 0
        UNION
        SELECT 'session', session_id FROM unnest(taken) WHERE session_id IS NOT NULL AND sign < 0
    ) lost;
    PERFORM raise_feedback_last_days(taken);
    IF kinds IS NULL THEN
        PERFORM add_feedback_seen(taken);
    ELSE
        before := feedback_last_days_of(kinds, people);
        PERFORM add_feedback_seen(taken);
        PERFORM move_feedback_last_days(before, feedback_last_days_of(kinds, people));
    END IF;
    -- Days on which nobody was last seen count for nothing: now and then they go.
    IF random() < 0.01 THEN
        DELETE FROM feedback_last_days WHERE feedback_last_days.people = 0;
    END IF;
    RETURN cardinality(taken);
END
$$;

CREATE FUNCTION add_feedback_seen(taken feedback_pending[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO feedback_seen AS s
    SELECT p.kind, p.who, g.group_id, t.day, sum(t.sign)
    FROM unnest(taken) t
    JOIN feedback_groups g USING (model, intent, project)
    CROSS JOIN LATERAL (VALUES ('user', t.user_id), ('session', t.session_id)) AS p (kind, who)
    WHERE p.who IS NOT NULL
    GROUP BY p.kind, p.who, g.group_id, t.day
    HAVING sum(t.sign) <> 0
    ON CONFLICT (kind, who, group_id, day) DO UPDATE SET times = s.times + excluded.times;
    DELETE FROM feedback_seen s
    USING (
        SELECT 'user' AS kind, user_id AS who, day FROM unnest(taken) WHERE sign < 0
        UNION
        SELECT 'session', session_id, day FROM unnest(taken) WHERE sign < 0
    ) t
    WHERE s.kind = t.kind AND s.who = t.who AND s.day = t.day AND s.times = 0;
END
$$;

-- Moves whoever is in `taken` and lost no row to their new last day. Call it before they are added to
-- feedback_seen.
-- How a row of another group counts for a scope follows from which names the two groups share.
CREATE FUNCTION raise_feedback_last_days(taken feedback_pending[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO feedback_last_days AS l
    WITH came AS (
        SELECT p.kind, p.who, g.group_id, g.model, g.intent, g.project, max(t.day) AS day,
               min(min(t.sign)) OVER (PARTITION BY p.kind, p.who) AS least
        FROM unnest(taken) t
        JOIN feedback_groups g USING (model, intent, project)
        CROSS JOIN LATERAL (VALUES ('user', t.user_id), ('session', t.session_id)) AS p (kind, who)
        WHERE p.who IS NOT NULL
        GROUP BY p.kind, p.who, g.group_id
    ), shared AS (
        SELECT c.kind, c.who, c.group_id, c.day, s.day AS seen_day,
               (g.model = c.model)::integer + 2 * (g.intent = c.intent)::integer
               + 4 * (g.project = c.project)::integer AS names
        FROM came c
        LEFT JOIN feedback_seen s ON s.kind = c.kind AND s.who = c.who
        LEFT JOIN feedback_groups g ON g.group_id = s.group_id
        WHERE c.least > 0
    ), by_group AS (
        SELECT kind, who, group_id, day, ARRAY[
            max(seen_day),
            max(seen_day) FILTER (WHERE names & 1 = 1), max(seen_day) FILTER (WHERE names & 2 = 2),
            max(seen_day) FILTER (WHERE names & 3 = 3), max(seen_day) FILTER (WHERE names & 4 = 4),
            max(seen_day) FILTER (WHERE names & 5 = 5), max(seen_day) FILTER (WHERE names & 6 = 6),
            max(seen_day) FILTER (WHERE names = 7)
        ] AS last_days
        FROM shared
        GROUP BY kind, who, group_id, day
    ), by_scope AS (
        SELECT b.kind, b.who, s.scope_id, max(b.last_days[s.fixed + 1]) AS before, max(b.day) AS day
        FROM by_group b JOIN feedback_group_scopes s USING (group_id)
        GROUP BY b.kind, b.who, s.scope_id
    )
    SELECT kind, scope_id, moved.day, sum(more)
    FROM by_scope
    CROSS JOIN LATERAL (VALUES (by_scope.day, 1), (before, -1)) AS moved (day, more)
    WHERE moved.day IS NOT NULL AND (before IS NULL OR before < by_scope.day)
    GROUP BY kind, scope_id, moved.day
    ON CONFLICT (kind, scope_id, day) DO UPDATE SET people = l.people + excluded.people;
END
$$;

CREATE FUNCTION move_feedback_last_days(before feedback_last_day[], after feedback_last_day[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO feedback_last_days AS l
    SELECT kind, scope_id, day, sum(more)
    FROM (
        SELECT kind, scope_id, day, -1 AS more FROM unnest(before)
        UNION ALL
        SELECT kind, scope_id, day, 1 FROM unnest(after)
    ) moved
    GROUP BY kind, scope_id, day
    HAVING sum(more) <> 0
    ON CONFLICT (kind, scope_id, day) DO UPDATE SET people = l.people + excluded.people;
END
$$;

-- Counts everything afresh from the table, which takes no writes meanwhile: after a bulk load with the triggers
-- disabled, and as a repair.
CREATE FUNCTION rebuild_feedback_rollups() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    LOCK TABLE feedback IN SHARE ROW EXCLUSIVE MODE;
    PERFORM pg_advisory_xact_lock(hashtext('fold_feedback'));
    TRUNCATE feedback_pending, feedback_daily, feedback_seen, feedback_last_days;
    DELETE FROM feedback_counters;
    INSERT INTO feedback_counters
    SELECT model, coalesce(intent, ''), coalesce(project, ''), 0,
           count(*) FILTER (WHERE rating = 1), count(*) FILTER (WHERE rating = -1), max(updated_at)
    FROM feedback GROUP BY 1, 2, 3;
    PERFORM add_feedback_group(model, intent, project)
    FROM (
        SELECT model, intent, project FROM feedback_counters
        EXCEPT SELECT model, intent, project FROM feedback_groups
    ) missing;

    INSERT INTO feedback_daily
    SELECT (f."timestamp" AT TIME ZONE 'UTC')::date, g.group_id, coalesce(f.category, ''),
           count(*) FILTER (WHERE f.rating = 1), count(*) FILTER (WHERE f.rating = -1), sum(f.memory_used)
    FROM feedback f
    JOIN feedback_groups g ON g.model = f.model AND g.intent = coalesce(f.intent, '')
                          AND g.project = coalesce(f.project, '')
    GROUP BY 1, 2, 3;

    INSERT INTO feedback_seen
    SELECT p.kind, p.who, g.group_id, (f."timestamp" AT TIME ZONE 'UTC')::date, count(*)
    FROM feedback f
    JOIN feedback_groups g ON g.model = f.model AND g.intent = coalesce(f.intent, '')
                          AND g.project = coalesce(f.project, '')
    CROSS JOIN LATERAL (VALUES ('user', f.user_id), ('session', f.session_id)) AS p (kind, who)
    WHERE p.who IS NOT NULL
    GROUP BY 1, 2, 3, 4;

    INSERT INTO feedback_last_days
    SELECT kind, scope_id, day, count(*)
    FROM (
        SELECT l.kind, l.who, s.scope_id, max(l.day) AS day
        FROM (SELECT kind, who, group_id, max(day) AS day FROM feedback_seen GROUP BY 1, 2, 3) l
        JOIN feedback_group_scopes s USING (group_id)
        GROUP BY 1, 2, 3
    ) found
    GROUP BY 1, 2, 3;
END
$$;

CREATE FUNCTION note_feedback_change(sign integer, row_of feedback) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO feedback_pending (
        sign, day, model, intent, project, rating, category, memory_used, user_id, session_id
    ) VALUES (
        sign, (row_of."timestamp" AT TIME ZONE 'UTC')::date, row_of.model, coalesce(row_of.intent, ''),
        coalesce(row_of.project, ''), row_of.rating, coalesce(row_of.category, ''), row_of.memory_used,
        row_of.user_id, row_of.session_id
    );
END
$$;

CREATE OR REPLACE FUNCTION count_feedback() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND
        (OLD.model, OLD.intent, OLD.project, OLD.rating, OLD.category, OLD.memory_used, OLD.user_id,
         OLD.session_id, OLD."timestamp")
        IS NOT DISTINCT FROM
        (NEW.model, NEW.intent, NEW.project, NEW.rating, NEW.category, NEW.memory_used, NEW.user_id,
         NEW.session_id, NEW."timestamp")
    THEN
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        PERFORM add_feedback_count(
            OLD.model, coalesce(OLD.intent, ''), coalesce(OLD.project, ''),
            -(OLD.rating = 1)::integer, -(OLD.rating = -1)::integer
        );
        PERFORM note_feedback_change(-1, OLD);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM add_feedback_count(
            NEW.model, coalesce(NEW.intent, ''), coalesce(NEW.project, ''),
            (NEW.rating = 1)::integer, (NEW.rating = -1)::integer
        );
        PERFORM note_feedback_change(1, NEW);
    END IF;
    RETURN NULL;
END
$$;

DROP TRIGGER trigger_refresh_accuracy ON feedback;
CREATE TRIGGER trigger_refresh_accuracy
    AFTER INSERT OR DELETE
    OR UPDATE OF model, intent, project, rating, category, memory_used, user_id, session_id, "timestamp"
    ON feedback
    FOR EACH ROW EXECUTE FUNCTION count_feedback();

CREATE OR REPLACE FUNCTION clear_feedback_counts() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('fold_feedback'));
    DELETE FROM feedback_counters;
    TRUNCATE feedback_pending, feedback_daily, feedback_seen, feedback_last_days;
    RETURN NULL;
END
$$;

SELECT rebuild_feedback_rollups();
