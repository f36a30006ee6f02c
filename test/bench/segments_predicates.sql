-- The table bench.segment: 100 questions about what people did, each as a predicate of a segment.

CREATE TABLE bench.segment (number integer PRIMARY KEY, predicate text NOT NULL);
INSERT INTO bench.segment
WITH
often(n, name, days, times) AS (VALUES
    (1, 'page_view', 30, 5), (2, 'product_view', 30, 3), (3, 'login', 60, 2), (4, 'search', 90, 2), (5, 'email_open', 30, 1), (6, 'app_open', 14, 1), (7, 'video_play', 90, 1),
    (8, 'purchase', 90, 1), (9, 'add_to_cart', 30, 1), (10, 'page_view', 7, 1), (11, 'email_click', 60, 1), (12, 'purchase', 365, 3), (13, 'support_ticket', 180, 1), (14, 'share', 365, 1)),
stopped(n, name, days, before) AS (VALUES
    (15, 'purchase', 60, 365), (16, 'login', 60, 180), (17, 'email_open', 60, 180), (18, 'app_open', 30, 90), (19, 'page_view', 90, 365), (20, 'search', 90, 365), (21, 'product_view', 30, 90),
    (22, 'email_click', 90, 365), (23, 'video_play', 90, 365), (24, 'add_to_cart', 60, 180)),
instead(n, done, not_done, days) AS (VALUES
    (25, 'add_to_cart', 'purchase', 14), (26, 'product_view', 'add_to_cart', 30), (27, 'checkout', 'purchase', 30), (28, 'email_sent', 'email_open', 60), (29, 'signup', 'login', 90),
    (30, 'search', 'product_view', 30), (31, 'page_view', 'login', 60), (32, 'purchase', 'review', 180), (33, 'email_open', 'email_click', 60), (34, 'app_open', 'purchase', 30)),
spent(n, days, amount) AS (VALUES (35, 30, 50), (36, 90, 100), (37, 180, 250), (38, 365, 500), (39, 365, 1000), (40, 60, 150), (41, 14, 20), (42, 365, 100)),
average(n, name, amount) AS (VALUES (43, 'purchase', 120), (44, 'add_to_cart', 150), (45, 'refund', 50), (46, 'purchase', 60)),
last_time(n, name, days) AS (VALUES (47, 'login', 30), (48, 'purchase', 180), (49, 'email_open', 120), (50, 'app_open', 60), (51, 'page_view', 45), (52, 'search', 200), (53, 'support_ticket', 90), (54, 'review', 300)),
first_time(n, name, days) AS (VALUES (55, 'signup', 30), (56, 'purchase', 60), (57, 'app_open', 30), (58, 'subscribe', 90)),
on_days(n, name, days, times) AS (VALUES (59, 'app_open', 60, 2), (60, 'login', 90, 3), (61, 'page_view', 30, 4), (62, 'product_view', 60, 4), (63, 'email_open', 180, 3), (64, 'purchase', 365, 3)),
looked(n, category, days, times) AS (VALUES (65, 'shoes', 30, 2), (66, 'bags', 60, 2), (67, 'coats', 90, 2), (68, 'hats', 180, 3), (69, 'socks', 90, 2), (70, 'shirts', 60, 2)),
through(n, channel, name, days) AS (VALUES (71, 'store', 'purchase', 90), (72, 'app', 'purchase', 180), (73, 'store', 'product_view', 30), (74, 'web', 'checkout', 60), (75, 'app', 'login', 30), (76, 'store', 'add_to_cart', 60)),
steps(n, first, second, third) AS (VALUES (77, 'product_view', 'add_to_cart', 'purchase'), (78, 'email_open', 'email_click', 'purchase'), (79, 'search', 'product_view', 'add_to_cart'), (80, 'signup', 'login', 'purchase')),
people(n, condition, name, days, times) AS (VALUES
    (81, 'profile.country IN (''US'', ''CA'')', 'purchase', 90, 1), (82, 'profile.country = ''DE''', 'page_view', 30, 2), (83, 'profile.plan = ''free''', 'product_view', 30, 2), (84, 'profile.age BETWEEN 25 AND 40', 'app_open', 60, 1),
    (85, 'profile.plan <> ''free''', 'login', 30, 1), (86, 'profile.country = ''FR'' AND profile.age > 50', 'email_open', 60, 1), (87, 'profile.plan = ''team''', 'support_ticket', 180, 1), (88, 'profile.age < 25', 'video_play', 180, 1),
    (89, 'profile.country = ''GB''', 'purchase', 365, 2), (90, 'profile.country IN (''ES'', ''IT'')', 'search', 60, 1))
SELECT n, format($$count(*) FILTER (WHERE event.event_name = %L AND event.occurred_at > now() - interval '%s days') >= %s$$, name, days, times) FROM often
UNION ALL SELECT n, format($$count(*) FILTER (WHERE event.event_name = %1$L AND event.occurred_at > now() - interval '%3$s days') > 0 AND count(*) FILTER (WHERE event.event_name = %1$L AND event.occurred_at > now() - interval '%2$s days') = 0$$, name, days, before) FROM stopped
UNION ALL SELECT n, format($$count(*) FILTER (WHERE event.event_name = %L AND event.occurred_at > now() - interval '%3$s days') > 0 AND count(*) FILTER (WHERE event.event_name = %2$L AND event.occurred_at > now() - interval '%3$s days') = 0$$, done, not_done, days) FROM instead
UNION ALL SELECT n, format($$sum(event.amount) FILTER (WHERE event.event_name = 'purchase' AND event.occurred_at > now() - interval '%s days') > %s$$, days, amount) FROM spent
UNION ALL SELECT n, format($$avg(event.amount) FILTER (WHERE event.event_name = %L) > %s$$, name, amount) FROM average
UNION ALL SELECT n, format($$max(event.occurred_at) FILTER (WHERE event.event_name = %L) < now() - interval '%s days'$$, name, days) FROM last_time
UNION ALL SELECT n, format($$min(event.occurred_at) FILTER (WHERE event.event_name = %L) > now() - interval '%s days'$$, name, days) FROM first_time
UNION ALL SELECT n, format($$count(DISTINCT date_trunc('day', event.occurred_at)) FILTER (WHERE event.event_name = %L AND event.occurred_at > now() - interval '%s days') >= %s$$, name, days, times) FROM on_days
UNION ALL SELECT n, format($$count(*) FILTER (WHERE event.event_name = 'product_view' AND event.category = %1$L AND event.occurred_at > now() - interval '%2$s days') >= %3$s AND count(*) FILTER (WHERE event.event_name = 'purchase' AND event.category = %1$L) = 0$$, category, days, times) FROM looked
UNION ALL SELECT n, format($$count(*) FILTER (WHERE event.event_name = %2$L AND event.channel = %1$L AND event.occurred_at > now() - interval '%3$s days') > 0$$, channel, name, days) FROM through
UNION ALL SELECT n, format($$cdp.did_sequence(event.event_name, event.occurred_at, cdp.sequence_options(ARRAY[%L, %L, %L], within => '30 days')) FILTER (WHERE event.event_name IN (%1$L, %2$L, %3$L))$$, first, second, third) FROM steps
UNION ALL SELECT n, format($$%s AND count(*) FILTER (WHERE event.event_name = %L AND event.occurred_at > now() - interval '%s days') >= %s$$, condition, name, days, times) FROM people
-- and some with several parts
UNION ALL VALUES
    (91, $$sum(event.amount) FILTER (WHERE event.event_name = 'purchase') > 300 AND max(event.occurred_at) FILTER (WHERE event.event_name = 'login') < now() - interval '30 days'$$),
    (92, $$count(*) FILTER (WHERE event.event_name = 'purchase' AND event.channel = 'store' AND event.occurred_at > now() - interval '30 days') > 0 AND count(*) FILTER (WHERE event.event_name IN ('email_open', 'email_click') AND event.occurred_at > now() - interval '60 days') = 0$$),
    (93, $$count(*) FILTER (WHERE event.event_name = 'purchase' AND event.category = 'shoes') > 0 AND count(*) FILTER (WHERE event.event_name = 'product_view' AND event.category = 'bags') > 0 AND sum(event.amount) FILTER (WHERE event.event_name = 'purchase') > 150$$),
    (94, $$count(*) > 20$$),
    (95, $$count(*) FILTER (WHERE event.occurred_at > now() - interval '30 days') > 0 AND count(*) FILTER (WHERE event.occurred_at <= now() - interval '30 days') = 0$$),
    (96, $$sum(event.seconds) FILTER (WHERE event.event_name = 'video_play' AND event.occurred_at > now() - interval '90 days') > 300$$),
    (97, $$count(*) FILTER (WHERE event.event_name = 'refund') > 0 AND count(*) FILTER (WHERE event.event_name = 'support_ticket' AND event.occurred_at > now() - interval '90 days') > 0$$),
    (98, $$profile.plan = 'pro' AND sum(event.amount) FILTER (WHERE event.event_name = 'purchase' AND event.occurred_at > now() - interval '180 days') > 100 AND count(*) FILTER (WHERE event.event_name = 'unsubscribe') = 0$$),
    (99, $$max(event.amount) FILTER (WHERE event.event_name = 'purchase') > 190$$),
    (100, $$count(*) FILTER (WHERE event.event_name = 'subscribe') > count(*) FILTER (WHERE event.event_name = 'unsubscribe')$$);
