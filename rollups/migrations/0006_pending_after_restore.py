from django.db import migrations


# As in 0005, with one thing more: after a restore into another cluster what a watermark seems
# to cover may be new, so every last write waits. Asked for such rows only.
PENDING = """
CREATE OR REPLACE VIEW rollups_pending AS
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
     OR NOT (SELECT rollups_is_anchored())
  GROUP BY last_write.counter_id
) AS waiting;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('rollups', '0005_pending_view'),
    ]

    reviewed = {
        0: "replaces a view; waits for whoever reads it just then, a page or a metric, and they for it",
    }

    operations = [
        # The code of 0005 finds in it all that it found before.
        migrations.RunSQL(PENDING, migrations.RunSQL.noop),
    ]
