with
own as (select objid, classid from pg_depend where deptype = 'e'),
n as (select oid, nspname
  from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'),
c as (select c.oid, c.relname, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relispartition, n.nspname from pg_class c join n on n.oid = c.relnamespace
  where not exists (select from own where own.objid = c.oid and own.classid = 'pg_class'::regclass)),
t as (select * from c where relkind in ('r', 'p', 'f')),
v as (select * from c where relkind in ('v', 'm'))
select json_build_object(
  'tables', (select coalesce(json_object_agg(oid, json_build_object('schema', nspname, 'name', relname, 'guarded', relrowsecurity, 'forced', relforcerowsecurity,
      'part', relispartition)), '{}') from t),
  'views', (select coalesce(json_object_agg(v.oid, json_build_object('schema', nspname, 'name', relname, 'stored', relkind = 'm', 'columns',
      (select coalesce(json_agg(attname order by attnum), '[]') from pg_attribute a where a.attrelid = v.oid and attnum > 0 and not attisdropped))), '{}') from v),
  'columns', (select coalesce(json_object_agg(a.attrelid || '.' || a.attnum, json_build_object('name', a.attname, 'required', a.attnotnull,
      'filled', a.atthasdef or a.attidentity <> '', 'made', a.attidentity::text || a.attgenerated::text,
      'default', (select pg_get_expr(d.adbin, d.adrelid) from pg_attrdef d where d.adrelid = a.attrelid and d.adnum = a.attnum), 'type', format_type(a.atttypid, a.atttypmod),
      'of', coalesce(nullif(y.typelem, 0), y.oid)::text)), '{}')
    from pg_attribute a join t on t.oid = a.attrelid join pg_type y on y.oid = a.atttypid where a.attnum > 0 and not a.attisdropped),
  'enums', (select coalesce(json_object_agg(y.oid, json_build_object('schema', n.nspname, 'name', y.typname, 'labels',
      (select coalesce(json_agg(enumlabel order by enumsortorder), '[]') from pg_enum e where e.enumtypid = y.oid))), '{}')
    from pg_type y join n on n.oid = y.typnamespace where y.typtype = 'e'
    and not exists (select from own where own.objid = y.oid and own.classid = 'pg_type'::regclass)),
  'indexes', (select coalesce(json_object_agg(i.indexrelid, json_build_object('name', x.relname, 'table', i.indrelid::text, 'columns',
      (select json_agg(k::text order by at) from unnest(i.indkey::int2[]) with ordinality as u(k, at) where at <= i.indnkeyatts),
      'expressions', coalesce(pg_get_expr(i.indexprs, i.indrelid), ''), 'condition', coalesce(pg_get_expr(i.indpred, i.indrelid), ''),
      'unique', i.indisunique, 'primary', i.indisprimary, 'valid', i.indisvalid, 'excludes', i.indisexclusion,
      'method', (select amname from pg_am m where m.oid = x.relam),
      'order', (select json_agg(json_build_array(i.indoption[at - 1] & 1 = 1, (select opcname from pg_opclass p where p.oid = i.indclass[at - 1] and not opcdefault)) order by at)
        from generate_series(1, i.indnkeyatts) at))), '{}')
    from pg_index i join pg_class x on x.oid = i.indexrelid join c on c.oid = i.indrelid where c.relkind in ('r', 'p', 'm')),
  'constraints', (select coalesce(json_object_agg(k.oid, json_build_object('name', k.conname, 'table', k.conrelid::text, 'kind', k.contype,
      'valid', k.convalidated, 'target', k.confrelid::text, 'theirs', coalesce(to_json(k.confkey::text[]), '[]'),
      'on_delete', k.confdeltype, 'on_update', k.confupdtype, 'columns', coalesce(to_json(k.conkey::text[]), '[]'), 'text', pg_get_constraintdef(k.oid))), '{}')
    from pg_constraint k join t on t.oid = k.conrelid where k.contype in ('f', 'c', 'x') and k.conparentid = 0),
  'objects', (select coalesce(json_agg(o order by o), '[]') from (
    select json_build_array('function', f.oid::text, n.nspname, f.proname)::text as o from pg_proc f join n on n.oid = f.pronamespace
      where not exists (select from own where own.objid = f.oid and own.classid = 'pg_proc'::regclass)
    union all select json_build_array('sequence', c.oid::text, c.nspname, c.relname)::text from c where relkind = 'S'
      and not exists (select from pg_depend d where d.objid = c.oid and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i'))
    union all select json_build_array('trigger', g.oid::text, t.nspname, g.tgname || ' on ' || t.relname)::text
      from pg_trigger g join t on t.oid = g.tgrelid where not g.tgisinternal
    union all select json_build_array('policy', p.oid::text, t.nspname, p.polname || ' on ' || t.relname)::text
      from pg_policy p join t on t.oid = p.polrelid) o)
)::text
