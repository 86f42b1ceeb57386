CREATE TYPE "Genre" AS ENUM ('novel', 'poetry', 'essay');
CREATE TYPE "Shelf" AS ENUM ('left', 'right');
CREATE TABLE "Author" (
    "id" SERIAL NOT NULL,
    "name" TEXT NOT NULL,
    CONSTRAINT "Author_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "Book" (
    "id" TEXT NOT NULL,
    "title" TEXT NOT NULL,
    "isbn" VARCHAR(20),
    "pages" BIGINT,
    "price" NUMERIC(10,2),
    "printed" TIMESTAMP(3),
    "rating" INTEGER,
    "genre" "Genre" NOT NULL DEFAULT 'novel',
    "shelf" "Shelf",
    "tags" TEXT[],
    "lent" BOOLEAN NOT NULL DEFAULT false,
    "authorId" INTEGER,
    CONSTRAINT "Book_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "Book_title_key" ON "Book"("title");
CREATE INDEX "Book_rating_idx" ON "Book"("rating");
ALTER TABLE "Book" ADD CONSTRAINT "Book_authorId_fkey" FOREIGN KEY ("authorId") REFERENCES "Author"("id") ON DELETE SET NULL;
ALTER TABLE "Book" ADD CONSTRAINT "Book_rating_check" CHECK ("rating" > 0);
CREATE TABLE "Loan" (
    "id" INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    "bookId" TEXT NOT NULL REFERENCES "Book"("id"),
    "reader" TEXT NOT NULL,
    "genres" "Genre"[]
);
CREATE VIEW "LentBook" AS SELECT "id" FROM "Book" WHERE "lent";
CREATE TABLE audit.entry (id bigint PRIMARY KEY, what text);
