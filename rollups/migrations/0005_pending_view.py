from django.db import migrations


# One row a pending counter: how long it has been waiting for a fold. The lag is now minus the
# later of its oldest last write's pending_since and its watermark's time.
# A time from the future is from before a clock was set back. A watermark's says nothing then;
# a last write's says how far the clock was set back, and that is its lag.
# The look-up of a rollup is one for each last write, and OFFSET 0 keeps it one. Else the
# planner, whose statistics of a table that is full in one minute and empty in the next are
# old, may read all rollups.
PENDING = """
CREATE VIEW rollups_pending AS
SELECT counter_id, greatest(age, -age) AS lag
FROM (
  SELECT last_write.counter_id,
         clock_timestamp() - greatest(
           min(last_write.pending_since),
           max(rollup.watermark_at) FILTER (
             WHERE rollup.watermark_at <= clock_timestamp()
           )
         ) AS age
  FROM counters_lastwrite AS last_write
  LEFT JOIN LATERAL (
    SELECT watermark, watermark_at
    FROM rollups_rollup
    WHERE counter_id = last_write.counter_id
    OFFSET 0
  ) AS rollup ON true
  WHERE NOT pg_visible_in_snapshot(last_write.xid, coalesce(rollup.watermark, '1:1:'))
  GROUP BY last_write.counter_id
) AS waiting;

COMMENT ON VIEW rollups_pending IS 'Counters that wait for a fold, and for how long they have.';
"""


class Migration(migrations.Migration):

    dependencies = [
        ('rollups', '0004_samples_and_processes'),
    ]

    reviewed = {
        0: "makes a view; waits for nobody but who changes the definition of one of its tables",
    }

    operations = [
        migrations.RunSQL(PENDING, "DROP VIEW rollups_pending"),
    ]
