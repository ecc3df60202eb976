-- Create the function that refuses a token which returns with another delta.
-- It runs inside an INSERT, because nothing else sees a first use that was committed after the
-- INSERT began. Its error undoes the whole batch.
-- Raises: CN409; the detail names the event: namespace id, token, event time in microseconds,
-- both deltas, counter name.
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
