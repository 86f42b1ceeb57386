-- Who owns what and who may do what with it, as statements: [object, role, place, statement]. `role` is whom the statement
-- names, nothing for everybody; `place` orders the statements of one object.
WITH space AS (SELECT oid, nspname, nspowner, nspacl FROM pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')),
  thing AS (
    SELECT 'SCHEMA' AS word, 'SCHEMA' AS owner_word, format('%I', nspname) AS name, nspowner AS owner, nspacl AS acl FROM space WHERE nspname <> 'public'
    UNION ALL SELECT 'SCHEMA', NULL, 'public', nspowner, nspacl FROM space WHERE nspname = 'public'
    UNION ALL SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, CASE WHEN NOT EXISTS (SELECT FROM pg_depend d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND c.relkind = 'S') THEN 'TABLE' END,
      format('%I.%I', n.nspname, c.relname), c.relowner, c.relacl
      FROM pg_class c JOIN space n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND c.relpersistence <> 't'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    UNION ALL SELECT 'ROUTINE', 'ROUTINE', format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), p.proowner, p.proacl
      FROM pg_proc p JOIN space n ON n.oid = p.pronamespace WHERE p.prokind IN ('f', 'p', 'w')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
    UNION ALL SELECT 'TYPE', 'TYPE', format('%I.%I', n.nspname, t.typname), t.typowner, t.typacl
      FROM pg_type t JOIN space n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
      WHERE (t.typtype IN ('e', 'd') OR t.typtype = 'c' AND c.relkind = 'c')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')),
  line(object, role, place, statement) AS (
    SELECT format('%s %s', word, name), pg_get_userbyid(owner)::text, 1, format('ALTER %s %s OWNER TO %I;', owner_word, name, pg_get_userbyid(owner))
      FROM thing WHERE owner_word IS NOT NULL
    UNION ALL SELECT format('%s %s', word, name), NULL, 2, format('REVOKE ALL ON %s %s FROM PUBLIC;', word, name) FROM thing WHERE acl IS NOT NULL
    UNION ALL SELECT format('%s %s', word, name), CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee)::text END, 3,
      format('GRANT %s ON %s %s TO %s%s;', a.privilege_type, word, name, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
        CASE WHEN a.is_grantable AND a.grantee <> owner THEN ' WITH GRANT OPTION' ELSE '' END)
      FROM thing CROSS JOIN LATERAL aclexplode(acl) AS a
    UNION ALL SELECT format('TABLE %I.%I', n.nspname, c.relname), CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee)::text END, 4,
      format('GRANT %s (%I) ON TABLE %I.%I TO %s;', a.privilege_type, t.attname, n.nspname, c.relname,
        CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
      FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN space n ON n.oid = c.relnamespace CROSS JOIN LATERAL aclexplode(t.attacl) AS a
      WHERE NOT t.attisdropped
    UNION ALL SELECT format('DEFAULTS %s', coalesce(quote_ident(n.nspname), '')), pg_get_userbyid(f.defaclrole)::text, 5,
      format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s GRANT %s ON %s TO %s;', pg_get_userbyid(f.defaclrole), CASE WHEN n.oid IS NULL THEN '' ELSE format(' IN SCHEMA %I', n.nspname) END,
        a.privilege_type, CASE f.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES' ELSE 'SCHEMAS' END,
        CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
      FROM pg_default_acl f LEFT JOIN space n ON n.oid = f.defaclnamespace CROSS JOIN LATERAL aclexplode(f.defaclacl) AS a)
SELECT json_build_array(object, role, statement)::text FROM line ORDER BY place, object, statement;
