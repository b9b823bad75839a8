-- What the shop's database needs: the outbox, what wakes its reader, and who may read.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL,
    payload jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION tell_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('outbox', '');
    RETURN NULL;
END
$$;

CREATE TRIGGER tell AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION tell_outbox();

-- SELECT ... FOR UPDATE needs UPDATE, and what was taken over is deleted; nothing else.
CREATE ROLE outbox_reader LOGIN;
GRANT SELECT, UPDATE, DELETE ON outbox TO outbox_reader;
