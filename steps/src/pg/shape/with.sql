WITH own AS MATERIALIZED (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
n AS (SELECT oid, nspname, nspowner, nspacl FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
c AS (SELECT c.*, n.nspname || '.' || c.relname AS name,
    CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'f' THEN 'foreign table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
      WHEN 'S' THEN 'sequence' WHEN 'c' THEN 'type' ELSE 'index' END AS kind
  FROM pg_class c JOIN n ON n.oid = c.relnamespace
  WHERE c.relpersistence <> 't' AND NOT EXISTS (SELECT FROM own WHERE own.classid = 'pg_class'::regclass AND own.objid = c.oid)),
r AS (SELECT * FROM c WHERE kind <> 'index'),
f AS (SELECT p.*, n.nspname || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' AS name
  FROM pg_proc p JOIN n ON n.oid = p.pronamespace
  WHERE NOT EXISTS (SELECT FROM own WHERE own.classid = 'pg_proc'::regclass AND own.objid = p.oid)),
y AS (SELECT y.*, n.nspname || '.' || y.typname AS name FROM pg_type y JOIN n ON n.oid = y.typnamespace
  WHERE y.typtype IN ('e', 'd', 'r') AND NOT EXISTS (SELECT FROM own WHERE own.classid = 'pg_type'::regclass AND own.objid = y.oid)),
grantable AS (
  SELECT kind || ' ' || name AS object, relowner AS owner, coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)) AS acl, oid FROM r WHERE relkind <> 'c'
  UNION ALL SELECT 'column ' || r.name || '.' || a.attname, r.relowner, a.attacl, r.oid FROM pg_attribute a JOIN r ON r.oid = a.attrelid
    WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attacl IS NOT NULL
  UNION ALL SELECT 'function ' || name, proowner, coalesce(proacl, acldefault('f', proowner)), oid FROM f
  UNION ALL SELECT 'type ' || name, typowner, coalesce(typacl, acldefault('T', typowner)), oid FROM y
  UNION ALL SELECT 'schema ' || nspname, nspowner, coalesce(nspacl, acldefault('n', nspowner)), oid FROM n)
