SELECT json_build_array(kind, name, is_, expression, oid::text)::text FROM (
  SELECT kind, name, concat_ws(' ', CASE relkind WHEN 'p' THEN 'partitioned' END, CASE relpersistence WHEN 'u' THEN 'unlogged' END,
    CASE WHEN relrowsecurity THEN 'row security on' END, CASE WHEN relforcerowsecurity THEN 'forced for its owner' END,
    CASE WHEN relkind IN ('r', 'p', 'm') AND relreplident <> 'd' THEN 'replica identity ' || relreplident::text END,
    CASE WHEN relkind NOT IN ('S', 'c') THEN array_to_string(reloptions, ', ') END,
    (SELECT string_agg('child of ' || inhparent::regclass::text, ', ' ORDER BY inhseqno) FROM pg_inherits WHERE inhrelid = r.oid),
    pg_get_expr(relpartbound, oid), CASE WHEN relkind = 'p' THEN 'by ' || pg_get_partkeydef(oid) END) AS is_,
    CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(oid) END AS expression, oid FROM r
  UNION ALL SELECT 'column', r.name || '.' || a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'not null' END,
    CASE WHEN a.attcollation <> y.typcollation THEN 'collate ' || a.attcollation::regcollation::text END,
    CASE a.attidentity WHEN 'a' THEN 'identity always' WHEN 'd' THEN 'identity by default' END,
    CASE WHEN a.attgenerated <> '' THEN 'generated' WHEN a.atthasdef THEN 'with a default' END), pg_get_expr(d.adbin, d.adrelid), r.oid
    FROM pg_attribute a JOIN r ON r.oid = a.attrelid JOIN pg_type y ON y.oid = a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
    WHERE r.relkind IN ('r', 'p', 'f', 'm', 'c') AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL SELECT 'sequence', r.name || ' parameters', concat_ws(' ', format_type(s.seqtypid, NULL), 'start', s.seqstart, 'by', s.seqincrement, 'from', s.seqmin, 'to', s.seqmax,
    CASE WHEN s.seqcycle THEN 'cycle' END, (SELECT 'owned by ' || o.name || '.' || a.attname FROM pg_depend d JOIN r o ON o.oid = d.refobjid
      JOIN pg_attribute a ON a.attrelid = o.oid AND a.attnum = d.refobjsubid
      WHERE d.classid = 'pg_class'::regclass AND d.objid = s.seqrelid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i'))), NULL, r.oid
    FROM pg_sequence s JOIN r ON r.oid = s.seqrelid
  UNION ALL SELECT 'index', c.name, concat_ws(' ', 'on ' || i.indrelid::regclass::text, CASE WHEN i.indisprimary THEN 'primary' WHEN i.indisunique THEN 'unique' END,
    CASE WHEN i.indisreplident THEN 'replica identity' END, i.indnatts || ' columns'), pg_get_indexdef(i.indexrelid), c.oid
    FROM pg_index i JOIN c ON c.oid = i.indexrelid WHERE i.indisvalid AND i.indisready
  UNION ALL SELECT 'constraint', coalesce(r.name, y.name) || ' ' || k.conname, concat_ws(' ', CASE k.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique' WHEN 'f' THEN 'foreign key'
      WHEN 'x' THEN 'exclusion' ELSE 'check' END, CASE WHEN NOT k.convalidated THEN 'not validated' END, CASE WHEN k.condeferrable THEN 'deferrable' END, CASE WHEN k.condeferred THEN 'deferred' END,
    '(' || (SELECT string_agg(a.attname, ', ' ORDER BY u.place) FROM unnest(k.conkey) WITH ORDINALITY AS u(attnum, place)
      JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum) || ')',
    CASE WHEN k.contype = 'f' THEN 'to ' || k.confrelid::regclass::text || ' on delete ' || k.confdeltype::text || ' on update ' || k.confupdtype::text END),
    pg_get_constraintdef(k.oid), coalesce(r.oid, y.oid)
    FROM pg_constraint k LEFT JOIN r ON r.oid = k.conrelid LEFT JOIN y ON y.oid = k.contypid WHERE k.contype IN ('p', 'u', 'f', 'x', 'c') AND coalesce(r.oid, y.oid) IS NOT NULL
  UNION ALL SELECT 'trigger', r.name || ' ' || t.tgname, concat_ws(' ', 'calls ' || t.tgfoid::regproc::text, CASE t.tgenabled WHEN 'D' THEN 'disabled' WHEN 'A' THEN 'always' WHEN 'R' THEN 'on replicas' END),
    pg_get_triggerdef(t.oid), r.oid FROM pg_trigger t JOIN r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
  UNION ALL SELECT 'rule', r.name || ' ' || w.rulename, w.ev_enabled::text, pg_get_ruledef(w.oid), r.oid FROM pg_rewrite w JOIN r ON r.oid = w.ev_class WHERE w.rulename <> '_RETURN'
  UNION ALL SELECT 'policy', r.name || ' ' || p.polname, concat_ws(' ', CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END, 'for ' || p.polcmd::text,
    'to ' || (SELECT string_agg(CASE u WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(u) END, ', ' ORDER BY 1) FROM unnest(p.polroles) AS u)),
    concat_ws(' CHECK ', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)), r.oid FROM pg_policy p JOIN r ON r.oid = p.polrelid
  UNION ALL SELECT 'type', y.name, CASE y.typtype WHEN 'e' THEN 'enum (' || coalesce((SELECT string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = y.oid), '') || ')'
    WHEN 'd' THEN concat_ws(' ', 'domain over', format_type(y.typbasetype, y.typtypmod), CASE WHEN y.typnotnull THEN 'not null' END) ELSE 'range' END, y.typdefault, y.oid FROM y
  UNION ALL SELECT 'function', f.name, concat_ws(' ', f.prokind, CASE WHEN f.proretset THEN 'setof' END, format_type(f.prorettype, NULL), (SELECT lanname FROM pg_language l WHERE l.oid = f.prolang),
    f.provolatile, CASE WHEN f.prosecdef THEN 'security definer' END, CASE WHEN f.proisstrict THEN 'strict' END, CASE WHEN f.proleakproof THEN 'leakproof' END,
    array_to_string(f.proconfig, ', '), 'body', md5(f.prosrc)), CASE WHEN f.prosqlbody IS NOT NULL THEN pg_get_function_sqlbody(f.oid) END, f.oid FROM f
  UNION ALL SELECT 'schema', nspname, '', NULL, oid FROM n
  UNION ALL SELECT 'extension', extname, extversion || ' in ' || extnamespace::regnamespace::text, NULL, oid FROM pg_extension
  UNION ALL SELECT 'statistics', n.nspname || '.' || s.stxname, 'on ' || s.stxrelid::regclass::text, pg_get_statisticsobjdef(s.oid), s.oid FROM pg_statistic_ext s JOIN n ON n.oid = s.stxnamespace
  UNION ALL SELECT 'event trigger', e.evtname, concat_ws(' ', e.evtevent, 'calls ' || e.evtfoid::regproc::text, e.evtenabled, array_to_string(e.evttags, ', ')), NULL, e.oid
    FROM pg_event_trigger e WHERE NOT EXISTS (SELECT FROM own WHERE own.classid = 'pg_event_trigger'::regclass AND own.objid = e.oid)
  UNION ALL SELECT 'publication', p.pubname, concat_ws(' ', CASE WHEN p.puballtables THEN 'all tables' END, CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
    CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END), NULL, p.oid FROM pg_publication p
  UNION ALL SELECT 'publication', p.pubname || ' of ' || r.name, '', NULL, r.oid FROM pg_publication_rel x JOIN pg_publication p ON p.oid = x.prpubid JOIN r ON r.oid = x.prrelid
  UNION ALL SELECT 'owner', kind || ' ' || name, pg_get_userbyid(relowner), NULL, oid FROM r
  UNION ALL SELECT 'owner', 'function ' || name, pg_get_userbyid(proowner), NULL, oid FROM f
  UNION ALL SELECT 'owner', 'type ' || name, pg_get_userbyid(typowner), NULL, oid FROM y
  UNION ALL SELECT 'owner', 'schema ' || nspname, pg_get_userbyid(nspowner), NULL, oid FROM n
  UNION ALL SELECT 'grant', g.object || ' to ' || CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END,
    string_agg(DISTINCT a.privilege_type || CASE WHEN a.is_grantable THEN ' with grant option' ELSE '' END, ', '), NULL, max(g.oid::text)::oid
    FROM grantable g CROSS JOIN LATERAL aclexplode(g.acl) AS a WHERE a.grantee <> g.owner GROUP BY g.object, a.grantee
  UNION ALL SELECT 'default grant', concat_ws(' ', pg_get_userbyid(d.defaclrole), coalesce('in ' || d.defaclnamespace::regnamespace::text, ''), d.defaclobjtype, 'to',
    CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END), string_agg(DISTINCT a.privilege_type || CASE WHEN a.is_grantable THEN ' with grant option' ELSE '' END, ', '), NULL, max(d.oid::text)::oid
    FROM pg_default_acl d CROSS JOIN LATERAL aclexplode(d.defaclacl) AS a GROUP BY d.defaclrole, d.defaclnamespace, d.defaclobjtype, a.grantee
) AS things(kind, name, is_, expression, oid)
