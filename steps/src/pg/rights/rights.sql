-- What this role lacks for the later steps of a release, one line for each object:
-- [for, about, object, why, fix]. `for` is `look` (reading every row), `copy` (backups, copies, the way back) or
-- `know` (worth knowing, stops nothing). {set} and {may_set} differ by the server's version.
WITH me AS (SELECT oid, rolname, rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user),
  db AS (SELECT oid, datname, datdba, dattablespace FROM pg_database WHERE datname = current_database()),
  space AS (SELECT oid, nspname, nspowner, nspacl FROM pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')),
  -- The schema `public` as `initdb` makes it is not in a dump.
  own_space AS (SELECT * FROM space WHERE NOT (nspname = 'public' AND nspowner = {public_owner})),
  relation AS (SELECT c.oid, c.relkind, c.relowner, c.relacl, c.relrowsecurity, c.reltablespace, n.oid AS space, n.nspname, n.nspowner,
      format('%I.%I', n.nspname, c.relname) AS name
    FROM pg_class c JOIN space n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND c.relpersistence <> 't'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')),
  function AS (SELECT p.oid, p.proowner, p.proacl, p.prolang, n.nspowner, format('function %I.%I', n.nspname, p.proname) AS name
    FROM pg_proc p JOIN space n ON n.oid = p.pronamespace
    WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')),
  type AS (SELECT t.oid, t.typowner, n.nspowner, format('type %I.%I', n.nspname, t.typname) AS name
    FROM pg_type t JOIN space n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
    WHERE (t.typtype IN ('e', 'd') OR t.typtype = 'c' AND c.relkind = 'c')
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')),
  -- Everything a dump gives to an owner, with the owner of its schema.
  owned AS (SELECT name, relowner AS owner, nspowner FROM relation UNION ALL SELECT name, proowner, nspowner FROM function
    UNION ALL SELECT name, typowner, nspowner FROM type
    UNION ALL SELECT format('schema %I', nspname), nspowner, NULL FROM own_space
    UNION ALL SELECT format('publication %I', pubname), pubowner, NULL FROM pg_publication),
  granted AS (SELECT r.name, r.relowner AS owner, a.grantor FROM relation r CROSS JOIN LATERAL aclexplode(r.relacl) AS a
    UNION SELECT f.name, f.proowner, a.grantor FROM function f CROSS JOIN LATERAL aclexplode(f.proacl) AS a
    UNION SELECT format('schema %I', s.nspname), s.nspowner, a.grantor FROM own_space s CROSS JOIN LATERAL aclexplode(s.nspacl) AS a),
  setting AS (SELECT s.setrole, split_part(c.one, '=', 1) AS name FROM pg_db_role_setting s
    CROSS JOIN LATERAL unnest(s.setconfig) AS c(one) WHERE s.setdatabase = (SELECT oid FROM db)),
  session AS (SELECT DISTINCT a.usesysid, a.usename, coalesce(r.rolsuper, false) AS super FROM pg_stat_activity a
    LEFT JOIN pg_roles r ON r.oid = a.usesysid WHERE a.datname = current_database() AND a.usesysid IS NOT NULL
    AND NOT pg_has_role(a.usesysid, 'USAGE')),
  found(goal, about, object, why, fix) AS (

SELECT 'look', 'read every row', name, 'not readable', format('GRANT USAGE ON SCHEMA %I TO %I; GRANT SELECT ON ALL TABLES IN SCHEMA %1$I TO %2$I; '
    'GRANT SELECT ON ALL SEQUENCES IN SCHEMA %1$I TO %2$I;', nspname, rolname)
  FROM relation, me WHERE relkind IN ('r', 'p', 'S') AND NOT (has_schema_privilege(space, 'USAGE')
    AND CASE relkind WHEN 'S' THEN has_sequence_privilege(relation.oid, 'SELECT') ELSE has_table_privilege(relation.oid, 'SELECT') END)
UNION ALL SELECT 'look', 'read every row', name, 'rows are hidden by row-level security', format('ALTER ROLE %I BYPASSRLS;', rolname)
  FROM relation, me WHERE relrowsecurity AND relkind IN ('r', 'p') AND row_security_active(relation.oid)
UNION ALL SELECT 'look', 'tell the server', 'pg_control_system()', 'not allowed to run', format('GRANT EXECUTE ON FUNCTION pg_control_system() TO %I;', rolname)
  FROM me WHERE NOT has_function_privilege('pg_control_system()', 'EXECUTE')
UNION ALL SELECT 'copy', 'read large objects', format('%s of %s', count(*), pg_get_userbyid(lomowner)), 'not readable', format('GRANT %I TO %I;', pg_get_userbyid(lomowner), rolname)
  FROM pg_largeobject_metadata, me WHERE NOT pg_has_role(lomowner, 'USAGE') GROUP BY lomowner, rolname
UNION ALL SELECT 'copy', 'make databases', format('role %I', rolname), 'has no CREATEDB', format('ALTER ROLE %I CREATEDB;', rolname)
  FROM me WHERE NOT (rolsuper OR rolcreatedb)
UNION ALL SELECT 'copy', 'rename the database', format('database %I', datname), format('belongs to %I', pg_get_userbyid(datdba)),
    format('ALTER DATABASE %I OWNER TO %I; or: GRANT %I TO %2$I;', datname, rolname, pg_get_userbyid(datdba))
  FROM db, me WHERE NOT pg_has_role(datdba, '{set}')
UNION ALL SELECT 'copy', 'prove that it is read-only', format('database %I', datname), 'no CREATE in it', format('GRANT CREATE ON DATABASE %I TO %I;', datname, rolname)
  FROM db, me WHERE NOT has_database_privilege(datname, 'CREATE')
UNION ALL SELECT 'copy', 'see how much room there is', 'data_directory', 'not readable', format('GRANT pg_read_all_settings TO %I;', rolname)
  FROM me WHERE NOT pg_has_role('pg_read_all_settings', 'USAGE')
UNION ALL SELECT 'copy', 'see and end sessions', format('those of %I', usename), 'cannot be seen or ended', format('GRANT pg_signal_backend, pg_read_all_stats TO %I;', rolname)
  FROM session, me WHERE NOT super AND NOT (pg_has_role('pg_signal_backend', 'USAGE') AND pg_has_role('pg_read_all_stats', 'USAGE'))
UNION ALL SELECT 'copy', 'see and end sessions', format('those of superuser %I', usename), 'only a superuser may end them',
    format('let the application connect as another role, end them by hand, or give flow a superuser (ALTER ROLE %I SUPERUSER;)', rolname)
  FROM session, me WHERE super
UNION ALL SELECT 'copy', 'make a copy in its place', format('tablespace %I', spcname), 'no CREATE in it', format('GRANT CREATE ON TABLESPACE %I TO %I;', spcname, rolname)
  FROM pg_tablespace s, me WHERE (s.oid IN (SELECT reltablespace FROM relation) OR s.oid = (SELECT dattablespace FROM db)
    AND s.oid <> (SELECT dattablespace FROM pg_database WHERE datname = 'template0')) AND NOT has_tablespace_privilege(s.oid, 'CREATE')
UNION ALL SELECT 'copy', 'restore what other roles own', name, format('belongs to %I', pg_get_userbyid(owner)),
    format('GRANT %I TO %I; or give the objects to %2$I (ALTER … OWNER TO)', pg_get_userbyid(owner), rolname)
  FROM owned, me WHERE NOT rolsuper AND NOT pg_has_role(owner, '{set}')
UNION ALL SELECT 'copy', 'restore what other roles own', name, format('its owner %I has no CREATE by the owner of its schema, %I', pg_get_userbyid(owner), pg_get_userbyid(nspowner)),
    format('GRANT %I TO %I; or give the schema to %2$I', pg_get_userbyid(nspowner), pg_get_userbyid(owner))
  FROM owned, me WHERE NOT rolsuper AND nspowner IS NOT NULL AND owner <> me.oid AND pg_has_role(owner, '{set}')
    AND NOT pg_has_role(owner, nspowner, 'USAGE')
UNION ALL SELECT 'copy', 'restore rights', name, format('granted by %I, who does not own it', pg_get_userbyid(grantor)), 'REVOKE and GRANT it again as its owner'
  FROM granted, me WHERE NOT rolsuper AND grantor <> owner
UNION ALL SELECT 'copy', 'restore rights', format('default privileges of %I', pg_get_userbyid(defaclrole)), 'not ours', format('GRANT %I TO %I;', pg_get_userbyid(defaclrole), rolname)
  FROM pg_default_acl, me WHERE NOT rolsuper AND NOT pg_has_role(defaclrole, 'USAGE')
UNION ALL SELECT 'copy', 'restore extensions', format('extension %I', extname), 'needs a superuser', 'run the release as a superuser, or drop it'
  FROM pg_extension e, me WHERE NOT rolsuper AND extname NOT IN ('plpgsql', 'pg_cron') AND EXISTS (SELECT FROM pg_available_extension_versions v
    WHERE v.name = e.extname AND v.version = e.extversion AND v.superuser AND NOT v.trusted)
UNION ALL SELECT 'copy', 'restore extensions', format('extension %I', extname), 'its files are not on the server any more', 'install its package there'
  FROM pg_extension e WHERE extname NOT IN ('plpgsql', 'pg_cron') AND NOT EXISTS (SELECT FROM pg_available_extensions v WHERE v.name = e.extname)
UNION ALL SELECT 'copy', 'restore extensions', format('extension %I', extname), format('can only be in the database %I, so no copy can have it',
    coalesce(current_setting('cron.database_name', true), 'postgres')), 'schedule from another database: cron.schedule_in_database, with cron.database_name set to it, and DROP EXTENSION pg_cron here'
  FROM pg_extension WHERE extname = 'pg_cron'
UNION ALL SELECT 'copy', 'restore event triggers', format('event trigger %I', evtname), 'needs a superuser', 'run the release as a superuser, or drop it'
  FROM pg_event_trigger t, me WHERE NOT rolsuper
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_event_trigger'::regclass AND d.objid = t.oid AND d.deptype = 'e')
UNION ALL SELECT 'copy', 'restore publications', format('publication %I', pubname), 'is for all tables, which needs a superuser', 'run the release as a superuser, or name its tables'
  FROM pg_publication, me WHERE NOT rolsuper AND puballtables
UNION ALL SELECT 'copy', 'restore subscriptions', format('subscription %I', subname), 'only a superuser''s dump holds it', 'run the release as a superuser, or drop it'
  FROM pg_subscription, me WHERE NOT rolsuper AND subdbid = (SELECT oid FROM db)
UNION ALL SELECT 'copy', 'restore functions', f.name, format('is written in %s, which needs a superuser', l.lanname), 'run the release as a superuser, or drop it'
  FROM function f JOIN pg_language l ON l.oid = f.prolang, me WHERE NOT rolsuper AND NOT l.lanpltrusted AND l.lanname <> 'sql'
UNION ALL SELECT 'copy', 'restore settings', s.name, 'a superuser''s setting of this database', {grant_set}
  FROM setting s JOIN pg_settings p ON p.name = s.name, me WHERE NOT rolsuper AND p.context IN ('superuser', 'superuser-backend') AND NOT {may_set}
UNION ALL SELECT 'copy', 'restore settings', format('%s of role %I', s.name, pg_get_userbyid(s.setrole)), 'another role''s setting in this database',
    format('ALTER ROLE %I IN DATABASE %I RESET %s; or: ALTER ROLE %I CREATEROLE;', pg_get_userbyid(s.setrole), current_database(), s.name, rolname)
  FROM setting s, me WHERE s.setrole NOT IN (0, me.oid) AND NOT rolsuper AND NOT rolcreaterole
UNION ALL SELECT 'know', 'invalid indexes', format('%I.%I', n.nspname, c.relname), 'left out of backups and comparisons, as pg_dump does',
    'REINDEX INDEX CONCURRENTLY, or drop it'
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN space n ON n.oid = c.relnamespace JOIN pg_class t ON t.oid = i.indrelid
  WHERE NOT ((i.indisvalid OR t.relkind = 'p') AND i.indisready)
UNION ALL SELECT 'know', 'copies of flow', format('%I (%s)', d.datname, CASE WHEN has_database_privilege(d.oid, 'CONNECT')
    OR pg_has_role('pg_read_all_stats', 'USAGE') THEN pg_size_pretty(pg_database_size(d.oid)) ELSE 'size hidden' END),
    'still there', 'DROP DATABASE, when nothing in it is needed any more'
  FROM pg_database d WHERE shobj_description(d.oid, 'pg_database') LIKE '{"flow":1,%'
)
SELECT json_build_array(goal, about, object, why, fix)::text FROM found ORDER BY goal, about, why, fix, object;
