-- The role that owns the database and all in it, as most have it: no superuser. :password is set by the caller.
CREATE ROLE dap LOGIN CREATEDB PASSWORD :'password';
GRANT pg_read_all_settings TO dap;
ALTER DATABASE postgres OWNER TO dap;
ALTER SCHEMA public OWNER TO dap;
DO $$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS kind, c.oid::regclass AS name
    FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'S', 'v')
  LOOP
    EXECUTE format('ALTER %s %s OWNER TO dap', one.kind, one.name);
  END LOOP;
  FOR one IN SELECT t.oid::regtype AS name FROM pg_type t WHERE t.typnamespace = 'public'::regnamespace AND t.typtype IN ('e', 'd')
  LOOP
    EXECUTE format('ALTER TYPE %s OWNER TO dap', one.name);
  END LOOP;
END
$$;
