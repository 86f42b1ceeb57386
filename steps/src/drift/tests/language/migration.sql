-- What Prisma 6.19.0 makes of the schema beside it: migrate diff --from-empty --to-schema-datamodel … --script
-- CreateExtension
CREATE EXTENSION IF NOT EXISTS "citext";

-- CreateExtension
CREATE EXTENSION IF NOT EXISTS "pgcrypto";

-- CreateEnum
CREATE TYPE "role_type" AS ENUM ('user', 'the admin', 'Guest');

-- CreateEnum
CREATE TYPE "Colour" AS ENUM ('red', 'green', 'blue');

-- CreateTable
CREATE TABLE "Plain" (
    "id" INTEGER NOT NULL,
    "b" INTEGER NOT NULL,
    "c" TEXT,
    "d" TEXT NOT NULL DEFAULT 'it''s "quoted" \ and
new',
    "e" TEXT NOT NULL DEFAULT '',
    "f" DOUBLE PRECISION NOT NULL DEFAULT 0.5,
    "g" DECIMAL(65,30) NOT NULL DEFAULT 12.50,
    "h" BIGINT NOT NULL DEFAULT 9007199254740993,
    "i" BOOLEAN NOT NULL DEFAULT true,
    "j" JSONB NOT NULL DEFAULT '{"a": 1}',
    "k" JSONB DEFAULT '[]',
    "l" BYTEA NOT NULL DEFAULT '\x68656c6c6f',
    "m" TIMESTAMP(3) NOT NULL DEFAULT '2020-01-01 00:00:00 +00:00',
    "n" INTEGER NOT NULL DEFAULT -5,
    "o" TEXT[] DEFAULT ARRAY['a', 'b c']::TEXT[],
    "p" INTEGER[] DEFAULT ARRAY[]::INTEGER[],
    "q" DOUBLE PRECISION[] DEFAULT ARRAY[1.5, 2]::DOUBLE PRECISION[],
    "r" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "s" TIMESTAMP(3) NOT NULL,
    "t" TEXT NOT NULL,
    "u" TEXT NOT NULL,
    "v" UUID NOT NULL,
    "w" TEXT NOT NULL,
    "x" TEXT NOT NULL,
    "y" UUID NOT NULL DEFAULT gen_random_uuid(),
    "z" TEXT DEFAULT ('a'::text || 'b'::text),

    CONSTRAINT "Plain_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Types" (
    "id" BIGSERIAL NOT NULL,
    "a" VARCHAR(10) NOT NULL,
    "b" CHAR(3) NOT NULL,
    "c" CHAR NOT NULL,
    "d" TIMESTAMPTZ(6) NOT NULL,
    "e" TIMESTAMPTZ NOT NULL,
    "f" TIMESTAMP(0) NOT NULL,
    "g" DATE NOT NULL,
    "h" TIME NOT NULL,
    "i" TIMETZ(2) NOT NULL,
    "j" DECIMAL(65,30) NOT NULL,
    "k" DECIMAL(10,2) NOT NULL,
    "l" MONEY NOT NULL,
    "m" BIT(3) NOT NULL,
    "n" VARBIT(7) NOT NULL,
    "o" INET NOT NULL,
    "p" CITEXT NOT NULL,
    "q" XML NOT NULL,
    "r" JSON NOT NULL,
    "s" JSONB NOT NULL,
    "t" OID NOT NULL,
    "u" SMALLINT NOT NULL,
    "v" INTEGER NOT NULL,
    "w" REAL NOT NULL,
    "x" DOUBLE PRECISION NOT NULL,
    "y" BYTEA NOT NULL,
    "z" BIGINT NOT NULL,
    "aa" VARCHAR NOT NULL,
    "bb" VARCHAR(20)[],
    "cc" tsvector,
    "dd" point[],
    "ee" DATE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "ff" TIMESTAMPTZ(3) NOT NULL DEFAULT (now() + '1 day'::interval),
    "gg" UUID,
    "hh" numrange DEFAULT '[1,2]'::numrange,

    CONSTRAINT "Types_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Small" (
    "id" SMALLSERIAL NOT NULL,
    "key" TEXT NOT NULL,

    CONSTRAINT "Small_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "users" (
    "id" TEXT NOT NULL,
    "role" "role_type" NOT NULL DEFAULT 'the admin',
    "roles" "role_type"[] DEFAULT ARRAY['user', 'Guest']::"role_type"[],
    "colour" "Colour",
    "e_mail" TEXT NOT NULL,
    "bossId" TEXT,

    CONSTRAINT "user_pk" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Post" (
    "id" SERIAL NOT NULL,
    "author" TEXT NOT NULL,
    "editorId" TEXT,
    "secret" TEXT,

    CONSTRAINT "Post_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Tag" (
    "a" INTEGER NOT NULL,
    "id" INTEGER NOT NULL,

    CONSTRAINT "Tag_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Profile" (
    "userId" TEXT NOT NULL,

    CONSTRAINT "Profile_pkey" PRIMARY KEY ("userId")
);

-- CreateTable
CREATE TABLE "Item.with dots" (
    "postId" INTEGER NOT NULL,
    "n" INTEGER NOT NULL,

    CONSTRAINT "item key" PRIMARY KEY ("postId","n")
);

-- CreateTable
CREATE TABLE "Sub" (
    "id" INTEGER NOT NULL,
    "postId" INTEGER,
    "n" INTEGER,

    CONSTRAINT "Sub_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "NoKey" (
    "a" INTEGER NOT NULL,
    "b" INTEGER NOT NULL
);

-- CreateTable
CREATE TABLE "NoKeyButUnique" (
    "a" INTEGER NOT NULL
);

-- CreateTable
CREATE TABLE "AVeryLongModelNameThatGoesOnAndOnUntilItIsNearlySixtyThreeChars" (
    "id" INTEGER NOT NULL,
    "anotherVeryLongFieldNameThatAlsoGoesOn" INTEGER NOT NULL,
    "yetAnotherVeryLongFieldNameThatAlsoGoesOn" INTEGER NOT NULL,

    CONSTRAINT "AVeryLongModelNameThatGoesOnAndOnUntilItIsNearlySixtyThree_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "AnotherVeryLongModelNameThatGoesOnAndOnUntilItIsNearlySixty" (
    "id" INTEGER NOT NULL,
    "up" INTEGER NOT NULL,

    CONSTRAINT "AnotherVeryLongModelNameThatGoesOnAndOnUntilItIsNearlySixt_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Spaced" (
    "id" SERIAL NOT NULL,
    "v" VARCHAR(5) NOT NULL DEFAULT 'x',
    "größe" INTEGER NOT NULL,

    CONSTRAINT "Spaced_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "_Follows" (
    "A" TEXT NOT NULL,
    "B" TEXT NOT NULL,

    CONSTRAINT "_Follows_AB_pkey" PRIMARY KEY ("A","B")
);

-- CreateTable
CREATE TABLE "_PostToTag" (
    "A" INTEGER NOT NULL,
    "B" INTEGER NOT NULL,

    CONSTRAINT "_PostToTag_AB_pkey" PRIMARY KEY ("A","B")
);

-- CreateTable
CREATE TABLE "_TagToUser" (
    "A" INTEGER NOT NULL,
    "B" TEXT NOT NULL,

    CONSTRAINT "_TagToUser_AB_pkey" PRIMARY KEY ("A","B")
);

-- CreateIndex
CREATE UNIQUE INDEX "c_is_unique" ON "Plain"("c");

-- CreateIndex
CREATE INDEX "Plain_b_idx" ON "Plain"("b");

-- CreateIndex
CREATE INDEX "Plain_b_c_idx" ON "Plain"("b", "c" DESC);

-- CreateIndex
CREATE INDEX "Plain_d_idx" ON "Plain"("d" text_pattern_ops);

-- CreateIndex
CREATE INDEX "Plain_o_idx" ON "Plain" USING GIN ("o");

-- CreateIndex
CREATE INDEX "j_gin" ON "Plain" USING GIN ("j" jsonb_path_ops);

-- CreateIndex
CREATE INDEX "Plain_e_idx" ON "Plain" USING HASH ("e");

-- CreateIndex
CREATE INDEX "Plain_r_idx" ON "Plain" USING BRIN ("r");

-- CreateIndex
CREATE UNIQUE INDEX "Plain_b_d_key" ON "Plain"("b", "d");

-- CreateIndex
CREATE UNIQUE INDEX "bb_ee" ON "Plain"("b", "e");

-- CreateIndex
CREATE UNIQUE INDEX "Small_key_key" ON "Small"("key" DESC);

-- CreateIndex
CREATE UNIQUE INDEX "users_e_mail_key" ON "users"("e_mail");

-- CreateIndex
CREATE INDEX "idx_by_name" ON "Post"("author", "editorId");

-- CreateIndex
CREATE UNIQUE INDEX "Sub_postId_n_key" ON "Sub"("postId", "n");

-- CreateIndex
CREATE UNIQUE INDEX "NoKeyButUnique_a_key" ON "NoKeyButUnique"("a");

-- CreateIndex
CREATE INDEX "AVeryLongModelNameThatGoesOnAndOnUntilItIsNearlySixtyThreeC_idx" ON "AVeryLongModelNameThatGoesOnAndOnUntilItIsNearlySixtyThreeChars"("anotherVeryLongFieldNameThatAlsoGoesOn", "yetAnotherVeryLongFieldNameThatAlsoGoesOn");

-- CreateIndex
CREATE UNIQUE INDEX "AVeryLongModelNameThatGoesOnAndOnUntilItIsNearlySixtyThreeC_key" ON "AVeryLongModelNameThatGoesOnAndOnUntilItIsNearlySixtyThreeChars"("yetAnotherVeryLongFieldNameThatAlsoGoesOn", "anotherVeryLongFieldNameThatAlsoGoesOn");

-- CreateIndex
CREATE INDEX "sp" ON "Spaced"("v", "id" DESC);

-- CreateIndex
CREATE INDEX "_Follows_B_index" ON "_Follows"("B");

-- CreateIndex
CREATE INDEX "_PostToTag_B_index" ON "_PostToTag"("B");

-- CreateIndex
CREATE INDEX "_TagToUser_B_index" ON "_TagToUser"("B");

-- AddForeignKey
ALTER TABLE "users" ADD CONSTRAINT "the_boss" FOREIGN KEY ("bossId") REFERENCES "users"("id") ON DELETE NO ACTION ON UPDATE NO ACTION;

-- AddForeignKey
ALTER TABLE "Post" ADD CONSTRAINT "Post_author_fkey" FOREIGN KEY ("author") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Post" ADD CONSTRAINT "Post_editorId_fkey" FOREIGN KEY ("editorId") REFERENCES "users"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Profile" ADD CONSTRAINT "Profile_userId_fkey" FOREIGN KEY ("userId") REFERENCES "users"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Item.with dots" ADD CONSTRAINT "Item.with dots_postId_fkey" FOREIGN KEY ("postId") REFERENCES "Post"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "Sub" ADD CONSTRAINT "Sub_postId_n_fkey" FOREIGN KEY ("postId", "n") REFERENCES "Item.with dots"("postId", "n") ON DELETE SET DEFAULT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "AnotherVeryLongModelNameThatGoesOnAndOnUntilItIsNearlySixty" ADD CONSTRAINT "AnotherVeryLongModelNameThatGoesOnAndOnUntilItIsNearlySixt_fkey" FOREIGN KEY ("up") REFERENCES "AVeryLongModelNameThatGoesOnAndOnUntilItIsNearlySixtyThreeChars"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "_Follows" ADD CONSTRAINT "_Follows_A_fkey" FOREIGN KEY ("A") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "_Follows" ADD CONSTRAINT "_Follows_B_fkey" FOREIGN KEY ("B") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "_PostToTag" ADD CONSTRAINT "_PostToTag_A_fkey" FOREIGN KEY ("A") REFERENCES "Post"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "_PostToTag" ADD CONSTRAINT "_PostToTag_B_fkey" FOREIGN KEY ("B") REFERENCES "Tag"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "_TagToUser" ADD CONSTRAINT "_TagToUser_A_fkey" FOREIGN KEY ("A") REFERENCES "Tag"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "_TagToUser" ADD CONSTRAINT "_TagToUser_B_fkey" FOREIGN KEY ("B") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;
