SELECT json_build_array(kind, name, is_, expression, oid::text)::text FROM (
  SELECT 'published', p.pubname || ' of all in ' || n.nspname, '', NULL, n.oid FROM pg_publication_namespace x JOIN pg_publication p ON p.oid = x.pnpubid JOIN n ON n.oid = x.pnnspid
  UNION ALL SELECT 'published', p.pubname || ' of ' || r.name, concat_ws(' ', CASE WHEN x.prqual IS NOT NULL THEN 'some rows' END,
    'columns (' || (SELECT string_agg(a.attname, ', ' ORDER BY a.attname) FROM unnest(x.prattrs::int2[]) AS u(attnum) JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = u.attnum) || ')'),
    pg_get_expr(x.prqual, x.prrelid), r.oid FROM pg_publication_rel x JOIN pg_publication p ON p.oid = x.prpubid JOIN r ON r.oid = x.prrelid WHERE x.prqual IS NOT NULL OR x.prattrs IS NOT NULL
) AS things(kind, name, is_, expression, oid)
