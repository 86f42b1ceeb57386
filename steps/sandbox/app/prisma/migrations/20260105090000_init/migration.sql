-- CreateEnum
CREATE TYPE "LicenseLevel" AS ENUM ('ESSENTIAL', 'ADVANTAGE', 'SIGNATURE');
CREATE TYPE "TaskStatus" AS ENUM ('NOT_STARTED', 'IN_PROGRESS', 'COMPLETED', 'NOT_APPLICABLE');

-- CreateTable
CREATE TABLE "Customer" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "contactName" TEXT NOT NULL,
    "email" TEXT NOT NULL,
    "notes" TEXT,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "deletedAt" TIMESTAMP(3),

    CONSTRAINT "Customer_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "CustomerProduct" (
    "id" TEXT NOT NULL,
    "customerId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "licenseLevel" "LicenseLevel" NOT NULL DEFAULT 'ESSENTIAL',
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "deletedAt" TIMESTAMP(3),

    CONSTRAINT "CustomerProduct_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "AdoptionPlan" (
    "id" TEXT NOT NULL,
    "customerProductId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "progress" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "deletedAt" TIMESTAMP(3),

    CONSTRAINT "AdoptionPlan_pkey" PRIMARY KEY ("id")
);
CREATE TABLE "CustomerTask" (
    "id" TEXT NOT NULL,
    "adoptionPlanId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "status" "TaskStatus" NOT NULL DEFAULT 'NOT_STARTED',
    "notes" TEXT,
    "updatedAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "deletedAt" TIMESTAMP(3),

    CONSTRAINT "CustomerTask_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "Customer_email_key" ON "Customer"("email");
CREATE INDEX "CustomerProduct_customerId_idx" ON "CustomerProduct"("customerId");
CREATE INDEX "AdoptionPlan_customerProductId_idx" ON "AdoptionPlan"("customerProductId");
CREATE INDEX "CustomerTask_adoptionPlanId_idx" ON "CustomerTask"("adoptionPlanId");

-- AddForeignKey
ALTER TABLE "CustomerProduct" ADD CONSTRAINT "CustomerProduct_customerId_fkey" FOREIGN KEY ("customerId") REFERENCES "Customer"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "AdoptionPlan" ADD CONSTRAINT "AdoptionPlan_customerProductId_fkey" FOREIGN KEY ("customerProductId") REFERENCES "CustomerProduct"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "CustomerTask" ADD CONSTRAINT "CustomerTask_adoptionPlanId_fkey" FOREIGN KEY ("adoptionPlanId") REFERENCES "AdoptionPlan"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
