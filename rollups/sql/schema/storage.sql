-- Set the storage of rollups and buckets: room on each page for new versions of its rows.
-- Each fold updates its rollups and their latest buckets in place; it changes no index.
ALTER TABLE rollups_rollup SET (fillfactor = 60);
ALTER TABLE rollups_bucket SET (fillfactor = 80);
