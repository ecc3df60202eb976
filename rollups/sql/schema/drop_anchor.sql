-- Drop what anchor.sql creates.
DROP FUNCTION rollups_check_anchor();
DROP FUNCTION rollups_check_partitions();
DROP FUNCTION rollups_refuse_if(boolean);
DROP FUNCTION rollups_is_anchored();
DROP FUNCTION rollups_cluster();
DROP TABLE rollups_anchor;
