-- What the version before the migration relies on, written down from the catalog, and afterwards tried again.
CREATE SCHEMA was;
CREATE TABLE was.columns (tab text, col text, position int, required bool, filled bool, written bool, is_unique bool, kind text, labels text[]);
CREATE TABLE was.keys (tab text, cols text);
CREATE TABLE was.views (name text);

CREATE FUNCTION was.remember() RETURNS text LANGUAGE plpgsql AS $$
DECLARE r record; list text;
BEGIN
  INSERT INTO was.columns
    SELECT c.relname, a.attname, a.attnum, a.attnotnull, a.atthasdef OR a.attidentity <> '',
      a.attgenerated = '' AND a.attidentity <> 'a',
      EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND a.attnum = ANY (i.indkey)),
      format_type(a.atttypid, a.atttypmod),
      (SELECT array_agg(e.enumlabel::text) FROM pg_enum e WHERE e.enumtypid = a.atttypid)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped;
  INSERT INTO was.keys
    SELECT c.relname, string_agg(quote_ident(a.attname), ', ' ORDER BY k.n)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
      CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY k(attnum, n)
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
    WHERE c.relnamespace = 'public'::regnamespace AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL
    GROUP BY i.indexrelid, c.relname;
  INSERT INTO was.views SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'v';
  FOR r IN SELECT tab, string_agg(format('%I::text AS %I', col, col), ', ') AS list FROM was.columns GROUP BY tab LOOP
    EXECUTE format('CREATE TABLE was.%I AS SELECT %s FROM public.%I', 't_' || r.tab, r.list, r.tab);
  END LOOP;
  RETURN 'remembered';
END $$;

-- A value that the old version writes: one of its own, or a fresh one where the column is unique.
CREATE FUNCTION was.value(c was.columns, fresh int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE found text;
BEGIN
  IF c.is_unique AND c.kind IN ('integer', 'bigint', 'smallint') THEN RETURN (20000 + fresh)::text; END IF;
  IF c.is_unique AND c.kind ~ '^(numeric|double)' THEN RETURN (20000 + fresh)::text; END IF;
  IF c.is_unique AND c.kind ~ '^(timestamp|date)' THEN RETURN (date '2030-01-01' + fresh)::text; END IF;
  IF c.is_unique AND c.kind ~ '^(text|character)' THEN RETURN CASE WHEN c.kind LIKE '%[]' THEN '{z' || fresh || '}' ELSE 'z' || fresh END; END IF;
  EXECUTE format('SELECT %I FROM was.%I WHERE %I IS NOT NULL ORDER BY length(%I) DESC, 1 DESC LIMIT 1', c.col, 't_' || c.tab, c.col, c.col) INTO found;
  RETURN found;
END $$;

-- Filling what was NULL loses nothing.
CREATE FUNCTION was.harm() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE c was.columns; k was.keys; v was.views; tab_name text; lost int; label text; variant int; names text; vals text;
BEGIN
  RETURN NEXT 'survived';
  FOR c IN SELECT * FROM was.columns LOOP
    BEGIN
      EXECUTE format('SELECT count(*) FROM was.%I w LEFT JOIN public.%I t ON t.id::text = w.id WHERE t.id IS NULL OR w.%I IS NOT NULL AND t.%I::text IS DISTINCT FROM w.%I',
        't_' || c.tab, c.tab, c.col, c.col, c.col) INTO lost;
      IF lost > 0 THEN RETURN NEXT format('%s values of %s.%s lost or changed', lost, c.tab, c.col); END IF;
    EXCEPTION WHEN OTHERS THEN RETURN NEXT format('reading %s.%s: %s', c.tab, c.col, SQLERRM); END;
  END LOOP;
  FOR v IN SELECT * FROM was.views LOOP
    BEGIN EXECUTE format('SELECT count(*) FROM public.%I', v.name);
    EXCEPTION WHEN OTHERS THEN RETURN NEXT format('view %s: %s', v.name, SQLERRM); END;
  END LOOP;
  FOR k IN SELECT * FROM was.keys LOOP
    BEGIN EXECUTE format('INSERT INTO public.%I OVERRIDING SYSTEM VALUE SELECT * FROM public.%I WHERE false ON CONFLICT (%s) DO NOTHING', k.tab, k.tab, k.cols);
    EXCEPTION WHEN OTHERS THEN RETURN NEXT format('upsert into %s by %s: %s', k.tab, k.cols, SQLERRM); END;
  END LOOP;
  FOR c IN SELECT * FROM was.columns WHERE labels IS NOT NULL LOOP
    FOREACH label IN ARRAY c.labels LOOP
      BEGIN EXECUTE format('UPDATE public.%I SET %I = %L', c.tab, c.col, label);
      EXCEPTION WHEN OTHERS THEN RETURN NEXT format('writing %L to %s.%s: %s', label, c.tab, c.col, SQLERRM); END;
    END LOOP;
  END LOOP;
  FOR tab_name IN SELECT DISTINCT tab FROM was.columns LOOP
    -- 1: only what must be named; 2: everything; 3: everything, with NULL where it was allowed.
    FOR variant IN 1..3 LOOP
      SELECT string_agg(quote_ident(col), ', ' ORDER BY position),
          string_agg(CASE WHEN variant = 3 AND NOT required THEN 'NULL' ELSE coalesce(quote_literal(was.value(x, variant)), 'NULL') END, ', ' ORDER BY position)
        INTO names, vals FROM was.columns x
        WHERE tab = tab_name AND written AND (variant > 1 OR (required AND NOT filled));
      BEGIN EXECUTE format('INSERT INTO public.%I (%s) VALUES (%s)', tab_name, names, vals);
      EXCEPTION WHEN OTHERS THEN RETURN NEXT format('insert %s into %s: %s', variant, tab_name, SQLERRM); END;
    END LOOP;
  END LOOP;
END $$;

-- Rows that are as bad as rows are: NULLs, duplicates, long and large values, every label, times of day.
INSERT INTO "Author" ("name") SELECT 'author ' || (n % 3) FROM generate_series(1, 6) n;
INSERT INTO "Book" ("id", "title", "isbn", "pages", "price", "printed", "rating", "genre", "shelf", "tags", "lent", "authorId")
  SELECT 'b' || n, 'title ' || n || repeat('.', n), CASE WHEN n % 3 > 0 THEN lpad(((n % 4))::text, 14, '0') END,
    CASE WHEN n % 4 > 0 THEN 3000000000 + n END, CASE WHEN n % 5 > 0 THEN 12.34 END,
    CASE WHEN n % 4 > 0 THEN timestamp '2024-05-01 13:45:10.123' + n * interval '1 hour' END,
    CASE WHEN n % 3 > 0 THEN n % 5 + 1 END, (ARRAY['novel', 'poetry', 'essay'])[n % 3 + 1]::"Genre",
    CASE WHEN n % 2 > 0 THEN (ARRAY['left', 'right'])[n % 4 / 2 + 1]::"Shelf" END,
    CASE WHEN n % 2 > 0 THEN ARRAY['a', 'b'] END, n % 2 = 0, CASE WHEN n % 4 > 0 THEN n % 6 + 1 END
  FROM generate_series(1, 12) n;
INSERT INTO "Loan" ("bookId", "reader", "genres") SELECT 'b' || (n % 5 + 1), 'reader ' || (n % 4), ARRAY['novel']::"Genre"[] FROM generate_series(1, 9) n;
