-- Expressions that a restore evaluates with an empty search_path, and that call a function whose body is looked up only
-- then: [object, query that does the same for one row, functions].
WITH used AS (SELECT d.classid, d.objid, array_agg(DISTINCT d.refobjid::regprocedure::text) AS functions FROM pg_depend d
    WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid >= 16384 GROUP BY d.classid, d.objid),
  relation AS (SELECT c.oid, c.relkind, c.relispopulated, format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relpersistence <> 't'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'))
SELECT json_build_array(object, query, functions)::text FROM (
SELECT format('generated column %s.%I', r.name, a.attname) AS object,
    format('SELECT count(x) FROM (SELECT (%s) AS x FROM ONLY %s LIMIT 1) AS q', pg_get_expr(f.adbin, f.adrelid), r.name) AS query, u.functions
  FROM pg_attrdef f JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum AND a.attgenerated <> ''
  JOIN relation r ON r.oid = f.adrelid AND r.relkind = 'r' JOIN used u ON u.classid = 'pg_attrdef'::regclass AND u.objid = f.oid
UNION ALL SELECT format('constraint %I of %s', k.conname, r.name),
    format('SELECT count(x) FROM (SELECT (%s) AS x FROM ONLY %s LIMIT 1) AS q', pg_get_expr(k.conbin, k.conrelid), r.name), u.functions
  FROM pg_constraint k JOIN relation r ON r.oid = k.conrelid AND r.relkind = 'r' JOIN used u ON u.classid = 'pg_constraint'::regclass AND u.objid = k.oid
  WHERE k.contype = 'c'
UNION ALL SELECT format('index %s', x.name), format('SELECT count(x) FROM (SELECT ROW(%s) AS x FROM ONLY %s LIMIT 1) AS q',
    concat_ws(', ', pg_get_expr(i.indexprs, i.indrelid), pg_get_expr(i.indpred, i.indrelid)), r.name), u.functions
  FROM pg_index i JOIN relation r ON r.oid = i.indrelid AND r.relkind = 'r' JOIN relation x ON x.oid = i.indexrelid
  JOIN used u ON u.classid = 'pg_class'::regclass AND u.objid = i.indexrelid WHERE i.indexprs IS NOT NULL OR i.indpred IS NOT NULL
UNION ALL SELECT format('materialized view %s', r.name),
    format('SELECT count(v) FROM (SELECT v FROM (%s) AS v LIMIT 1) AS q', rtrim(pg_get_viewdef(r.oid), ';')), '{}'::text[]
  FROM relation r WHERE r.relkind = 'm' AND r.relispopulated) AS things ORDER BY object LIMIT 100;
