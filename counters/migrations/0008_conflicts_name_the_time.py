from django.db import migrations

# The function of 0001 with the event time, which distinguishes two uses of one token. The
# detail names the event for which a batch is refused. The function of 0001 stays for older code.
CHECK_REPEAT = """
CREATE FUNCTION counters_check_repeat(
  a_counter_id bigint, a_token uuid, an_event_time timestamptz, kept bigint, offered bigint
) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  counter counters_counter;
BEGIN
  IF kept = offered THEN
    RETURN true;
  END IF;
  SELECT * INTO counter FROM counters_counter WHERE id = a_counter_id;
  RAISE EXCEPTION USING
    ERRCODE = 'CN409',
    MESSAGE = 'a token was used before with another delta',
    DETAIL = concat_ws(
      ' ', counter.namespace_id, a_token,
      (extract(epoch FROM an_event_time) * 1000000)::bigint, kept, offered, counter.name
    );
END
$$;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('counters', '0007_last_writes_keep_their_pages'),
    ]

    reviewed = {0: "makes a function; locks no table"}

    operations = [
        migrations.RunSQL(
            CHECK_REPEAT,
            "DROP FUNCTION counters_check_repeat(bigint, uuid, timestamptz, bigint, bigint)",
        ),
    ]
