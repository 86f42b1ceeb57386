, theirs AS (SELECT oid, datname, datdba, coalesce(datacl, acldefault('d', datdba)) AS acl FROM pg_database WHERE datname = current_database()),
access AS (
  SELECT 'database' AS object, datdba AS owner, acl, oid FROM theirs
  UNION ALL SELECT 'foreign server ' || srvname, srvowner, coalesce(srvacl, acldefault('S', srvowner)), oid FROM pg_foreign_server
  UNION ALL SELECT 'foreign data wrapper ' || fdwname, fdwowner, coalesce(fdwacl, acldefault('F', fdwowner)), oid FROM pg_foreign_data_wrapper
  UNION ALL SELECT 'language ' || lanname, lanowner, coalesce(lanacl, acldefault('l', lanowner)), oid FROM pg_language),
noted AS (SELECT i.type || ' ' || i.identity AS object, o.objoid AS oid, o.says, o.provider FROM (
    SELECT classoid, objoid, objsubid, md5(description) AS says, NULL AS provider FROM pg_description
    UNION ALL SELECT classoid, objoid, objsubid, md5(label), provider FROM pg_seclabel) AS o
  CROSS JOIN LATERAL pg_identify_object(o.classoid, o.objoid, o.objsubid) AS i
  WHERE o.objoid >= 16384 AND o.classoid <> 'pg_largeobject'::regclass AND i.identity IS NOT NULL AND coalesce(i.schema, '') !~ '^pg_(temp|toast)'
  AND NOT EXISTS (SELECT FROM own WHERE own.classid = o.classoid AND own.objid = o.objoid))
SELECT json_build_array(kind, name, is_, expression, oid::text)::text FROM (
  SELECT 'enforcement', o.name || ' ' || k.conname || ' by ' || r.name,
    string_agg(DISTINCT CASE t.tgenabled WHEN 'O' THEN 'enforced' WHEN 'D' THEN 'disabled' WHEN 'A' THEN 'always' ELSE 'on replicas' END, ', '), NULL, max(r.oid::text)::oid
    FROM pg_trigger t JOIN pg_constraint k ON k.oid = t.tgconstraint JOIN r ON r.oid = t.tgrelid JOIN r o ON o.oid = k.conrelid
    WHERE t.tgisinternal GROUP BY o.name, k.conname, r.name HAVING bool_or(t.tgenabled <> 'O')
  UNION ALL SELECT 'population', name, 'holds nothing', NULL, oid FROM r WHERE relkind = 'm' AND NOT relispopulated
  UNION ALL SELECT 'published', pubname, 'partitions as their root', NULL, oid FROM pg_publication WHERE pubviaroot
  UNION ALL SELECT 'call', f.name, concat_ws(' ', 'parallel ' || proparallel::text, 'cost ' || procost, 'rows ' || prorows, CASE WHEN prosupport <> 0 THEN 'support ' || prosupport::text END,
    CASE WHEN probin IS NOT NULL THEN 'in ' || probin END), pg_get_function_arguments(f.oid), f.oid FROM f
    WHERE pronargdefaults > 0 OR proparallel <> 'u' OR procost NOT IN (1, 100) OR prorows NOT IN (0, 1000) OR prosupport <> 0 OR probin IS NOT NULL
  UNION ALL SELECT 'aggregate', f.name, concat_ws(' ', g.aggkind, g.aggnumdirectargs, g.aggtransfn::regprocedure, format_type(g.aggtranstype, NULL), 'final ' || g.aggfinalfn::text, g.aggfinalextra, g.aggfinalmodify,
    'combine ' || g.aggcombinefn::text, 'serial ' || g.aggserialfn::text, g.aggdeserialfn::text, 'moving ' || g.aggmtransfn::text, g.aggminvtransfn::text, g.aggmfinalfn::text, g.aggmfinalextra,
    g.aggmfinalmodify, format_type(g.aggmtranstype, NULL), 'sorted ' || g.aggsortop::regoperator::text, 'from ' || md5(g.agginitval), md5(g.aggminitval)), NULL, f.oid FROM pg_aggregate g JOIN f ON f.oid = g.aggfnoid
  UNION ALL SELECT 'range', y.name, concat_ws(' ', format_type(g.rngsubtype, NULL), g.rngcanonical::text, g.rngsubdiff::text, CASE WHEN g.rngcollation <> 0 THEN g.rngcollation::regcollation::text END), NULL, y.oid
    FROM pg_range g JOIN y ON y.oid = g.rngtypid
  UNION ALL SELECT 'text search configuration', n.nspname || '.' || t.cfgname, concat_ws(' ', 'parser ' || (SELECT pn.nspname || '.' || p.prsname FROM pg_ts_parser p JOIN pg_namespace pn ON pn.oid = p.prsnamespace WHERE p.oid = t.cfgparser),
    'maps ' || md5((SELECT string_agg(concat_ws(' ', m.maptokentype, m.mapseqno, dn.nspname, d.dictname), ', ' ORDER BY m.maptokentype, m.mapseqno) FROM pg_ts_config_map m
      JOIN pg_ts_dict d ON d.oid = m.mapdict JOIN pg_namespace dn ON dn.oid = d.dictnamespace WHERE m.mapcfg = t.oid))), NULL, t.oid FROM pg_ts_config t JOIN n ON n.oid = t.cfgnamespace
    WHERE NOT EXISTS (SELECT FROM own WHERE own.classid = 'pg_ts_config'::regclass AND own.objid = t.oid)
  UNION ALL SELECT 'text search dictionary', n.nspname || '.' || d.dictname, concat_ws(' ', (SELECT tn.nspname || '.' || t.tmplname FROM pg_ts_template t JOIN pg_namespace tn ON tn.oid = t.tmplnamespace WHERE t.oid = d.dicttemplate),
    'options ' || md5(d.dictinitoption)), NULL, d.oid FROM pg_ts_dict d JOIN n ON n.oid = d.dictnamespace
    WHERE NOT EXISTS (SELECT FROM own WHERE own.classid = 'pg_ts_dict'::regclass AND own.objid = d.oid)
  UNION ALL SELECT 'text search parser', n.nspname || '.' || p.prsname, concat_ws(' ', p.prsstart::text, p.prstoken::text, p.prsend::text, p.prsheadline::text, p.prslextype::text), NULL, p.oid
    FROM pg_ts_parser p JOIN n ON n.oid = p.prsnamespace WHERE NOT EXISTS (SELECT FROM own WHERE own.classid = 'pg_ts_parser'::regclass AND own.objid = p.oid)
  UNION ALL SELECT 'text search template', n.nspname || '.' || t.tmplname, concat_ws(' ', t.tmplinit::text, t.tmpllexize::text), NULL, t.oid
    FROM pg_ts_template t JOIN n ON n.oid = t.tmplnamespace WHERE NOT EXISTS (SELECT FROM own WHERE own.classid = 'pg_ts_template'::regclass AND own.objid = t.oid)
  UNION ALL SELECT 'foreign data wrapper', w.fdwname, concat_ws(' ', NULLIF(w.fdwhandler::regproc::text, '-'), NULLIF(w.fdwvalidator::regproc::text, '-'), (SELECT string_agg(split_part(opt.one, '=', 1) || ' ' || left(encode(sha256(convert_to(w.fdwname || ' ' || opt.one, 'UTF8')), 'hex'), 16), ', ' ORDER BY opt.one) FROM unnest(w.fdwoptions) AS opt(one))), NULL, w.oid
    FROM pg_foreign_data_wrapper w WHERE NOT EXISTS (SELECT FROM own WHERE own.classid = 'pg_foreign_data_wrapper'::regclass AND own.objid = w.oid)
  UNION ALL SELECT 'foreign server', s.srvname, concat_ws(' ', 'by ' || w.fdwname, s.srvtype, s.srvversion, (SELECT string_agg(split_part(opt.one, '=', 1) || ' ' || left(encode(sha256(convert_to(s.srvname || ' ' || opt.one, 'UTF8')), 'hex'), 16), ', ' ORDER BY opt.one) FROM unnest(s.srvoptions) AS opt(one))), NULL, s.oid
    FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw WHERE NOT EXISTS (SELECT FROM own WHERE own.classid = 'pg_foreign_server'::regclass AND own.objid = s.oid)
  UNION ALL SELECT 'user mapping', u.srvname || ' for ' || u.usename, coalesce((SELECT string_agg(split_part(opt.one, '=', 1) || ' ' || left(encode(sha256(convert_to(u.srvname || ' ' || u.usename || ' ' || opt.one, 'UTF8')), 'hex'), 16), ', ' ORDER BY opt.one) FROM unnest(u.umoptions) AS opt(one)), ''), NULL, u.umid FROM pg_user_mappings u
  UNION ALL SELECT 'remote', r.name, concat_ws(' ', 'on ' || s.srvname, (SELECT string_agg(split_part(opt.one, '=', 1) || ' ' || left(encode(sha256(convert_to(r.name || ' ' || opt.one, 'UTF8')), 'hex'), 16), ', ' ORDER BY opt.one) FROM unnest(t.ftoptions) AS opt(one))), NULL, r.oid FROM pg_foreign_table t JOIN r ON r.oid = t.ftrelid JOIN pg_foreign_server s ON s.oid = t.ftserver
  UNION ALL SELECT 'remote', r.name || '.' || a.attname, (SELECT string_agg(split_part(opt.one, '=', 1) || ' ' || left(encode(sha256(convert_to(a.attname || ' ' || opt.one, 'UTF8')), 'hex'), 16), ', ' ORDER BY opt.one) FROM unnest(a.attfdwoptions) AS opt(one)), NULL, r.oid FROM pg_attribute a JOIN r ON r.oid = a.attrelid WHERE a.attfdwoptions IS NOT NULL AND NOT a.attisdropped
  UNION ALL SELECT 'subscription', s.subname, concat_ws(' ', CASE WHEN s.subenabled THEN 'enabled' ELSE 'disabled' END, array_to_string(s.subpublications, ', '), s.subslotname), NULL, s.oid
    FROM pg_subscription s JOIN theirs ON theirs.oid = s.subdbid
  UNION ALL SELECT 'storage', r.name || '.' || a.attname, concat_ws(' ', CASE WHEN a.attstorage <> y.typstorage THEN 'kept as ' || a.attstorage::text END, CASE WHEN a.attcompression <> '' THEN 'compressed by ' || a.attcompression::text END,
    CASE WHEN coalesce(a.attstattarget, -1) <> -1 THEN 'statistics ' || a.attstattarget END, array_to_string(a.attoptions, ', ')), NULL, r.oid
    FROM pg_attribute a JOIN r ON r.oid = a.attrelid JOIN pg_type y ON y.oid = a.atttypid WHERE a.attnum > 0 AND NOT a.attisdropped AND r.relkind IN ('r', 'p', 'm')
    AND (a.attstorage <> y.typstorage OR a.attcompression <> '' OR coalesce(a.attstattarget, -1) <> -1 OR a.attoptions IS NOT NULL)
  UNION ALL SELECT 'storage', r.name, concat_ws(' ', (SELECT amname FROM pg_am WHERE pg_am.oid = r.relam), 'in ' || (SELECT spcname FROM pg_tablespace s WHERE s.oid = r.reltablespace)), NULL, r.oid FROM r WHERE r.relkind IN ('r', 'p', 'm')
    AND (r.reltablespace <> 0 OR r.relam NOT IN (0, (SELECT pg_am.oid FROM pg_am WHERE amname = 'heap')))
  UNION ALL SELECT 'operator', o.oid::regoperator::text, concat_ws(' ', o.oprcode::text, NULLIF(o.oprcom::regoperator::text, '0'), NULLIF(o.oprnegate::regoperator::text, '0'), o.oprrest::text, o.oprjoin::text,
    CASE WHEN o.oprcanmerge THEN 'merges' END, CASE WHEN o.oprcanhash THEN 'hashes' END), NULL, o.oid FROM pg_operator o JOIN n ON n.oid = o.oprnamespace
    WHERE NOT EXISTS (SELECT FROM own WHERE own.classid = 'pg_operator'::regclass AND own.objid = o.oid)
  UNION ALL SELECT 'operator class', n.nspname || '.' || o.opcname || ' for ' || (SELECT amname FROM pg_am WHERE pg_am.oid = o.opcmethod), concat_ws(' ', format_type(o.opcintype, NULL), CASE WHEN o.opcdefault THEN 'default' END,
    'keys ' || NULLIF(format_type(o.opckeytype, NULL), '-'), md5((SELECT string_agg(concat_ws(' ', a.amopstrategy, a.amoppurpose, a.amopopr::regoperator), ', ' ORDER BY a.amoplefttype::regtype::text, a.amoprighttype::regtype::text, a.amopstrategy) FROM pg_amop a WHERE a.amopfamily = o.opcfamily)),
    md5((SELECT string_agg(concat_ws(' ', a.amprocnum, a.amproc), ', ' ORDER BY a.amproclefttype::regtype::text, a.amprocrighttype::regtype::text, a.amprocnum) FROM pg_amproc a WHERE a.amprocfamily = o.opcfamily))), NULL, o.oid
    FROM pg_opclass o JOIN n ON n.oid = o.opcnamespace WHERE NOT EXISTS (SELECT FROM own WHERE own.classid = 'pg_opclass'::regclass AND own.objid = o.oid)
  UNION ALL SELECT 'cast', format_type(k.castsource, NULL) || ' to ' || format_type(k.casttarget, NULL), concat_ws(' ', k.castcontext, k.castmethod, CASE WHEN k.castfunc <> 0 THEN k.castfunc::regprocedure::text END), NULL, k.oid
    FROM pg_cast k WHERE k.oid >= 16384 AND NOT EXISTS (SELECT FROM own WHERE own.classid = 'pg_cast'::regclass AND own.objid = k.oid)
  UNION ALL SELECT 'collation', n.nspname || '.' || l.collname, concat_ws(' ', l.collprovider, l.collisdeterministic, l.collcollate, l.collctype, to_jsonb(l) ->> 'colliculocale', to_jsonb(l) ->> 'colllocale', to_jsonb(l) ->> 'collicurules'), NULL, l.oid
    FROM pg_collation l JOIN n ON n.oid = l.collnamespace WHERE NOT EXISTS (SELECT FROM own WHERE own.classid = 'pg_collation'::regclass AND own.objid = l.oid)
  UNION ALL SELECT 'language', lanname, concat_ws(' ', CASE WHEN lanpltrusted THEN 'trusted' END, lanplcallfoid::regproc::text, laninline::regproc::text, lanvalidator::regproc::text), NULL, oid FROM pg_language WHERE lanispl
  UNION ALL SELECT 'comment', object, says, NULL, oid FROM noted WHERE provider IS NULL
  UNION ALL SELECT 'label', object || ' by ' || provider, says, NULL, oid FROM noted WHERE provider IS NOT NULL
  UNION ALL SELECT 'comment', 'database', md5(d.description), NULL, theirs.oid FROM pg_shdescription d JOIN theirs ON theirs.oid = d.objoid WHERE d.classoid = 'pg_database'::regclass
  UNION ALL SELECT 'setting', c.key || CASE s.setrole WHEN 0 THEN '' ELSE ' of ' || pg_get_userbyid(s.setrole) END,
    CASE WHEN c.key LIKE '%.%' THEN left(encode(sha256(convert_to(c.key || ' ' || c.one, 'UTF8')), 'hex'), 16) ELSE substr(c.one, length(c.key) + 2) END, NULL, s.setdatabase
    FROM pg_db_role_setting s CROSS JOIN LATERAL (SELECT split_part(u.one, '=', 1) AS key, u.one FROM unnest(s.setconfig) AS u(one)) AS c
    WHERE s.setdatabase = (SELECT oid FROM theirs) AND NOT (c.key = 'default_transaction_read_only' AND s.setrole = 0)
  UNION ALL SELECT 'access', x.object || ' to ' || CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END,
    string_agg(DISTINCT a.privilege_type || CASE WHEN a.is_grantable THEN ' with grant option' ELSE '' END, ', '), NULL, max(x.oid::text)::oid
    FROM access x CROSS JOIN LATERAL aclexplode(x.acl) AS a WHERE a.grantee <> x.owner GROUP BY x.object, a.grantee
  UNION ALL SELECT 'ownership', object, pg_get_userbyid(owner), NULL, oid FROM access
  UNION ALL SELECT 'ownership', 'publication ' || pubname, pg_get_userbyid(pubowner), NULL, oid FROM pg_publication
  UNION ALL SELECT 'ownership', 'event trigger ' || evtname, pg_get_userbyid(evtowner), NULL, oid FROM pg_event_trigger
  UNION ALL SELECT 'ownership', 'statistics ' || n.nspname || '.' || s.stxname, pg_get_userbyid(stxowner), NULL, s.oid FROM pg_statistic_ext s JOIN n ON n.oid = s.stxnamespace
  UNION ALL SELECT 'ownership', 'text search configuration ' || n.nspname || '.' || t.cfgname, pg_get_userbyid(cfgowner), NULL, t.oid FROM pg_ts_config t JOIN n ON n.oid = t.cfgnamespace
  UNION ALL SELECT 'ownership', 'text search dictionary ' || n.nspname || '.' || d.dictname, pg_get_userbyid(dictowner), NULL, d.oid FROM pg_ts_dict d JOIN n ON n.oid = d.dictnamespace
) AS things(kind, name, is_, expression, oid)
