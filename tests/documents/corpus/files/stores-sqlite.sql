PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE stores (store, lowest, highest, goods);
INSERT INTO stores VALUES('North','-24','-18','herring and cod');
INSERT INTO stores VALUES('South','-4','2','apples, pears');
INSERT INTO stores VALUES('Quay','0','6','"cut" flowers');
INSERT INTO stores VALUES('Ødegård','-2','4','smør; ost');
COMMIT;
