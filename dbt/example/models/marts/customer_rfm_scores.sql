-- Scores by quartiles.
{{ cdp.rfm_scores(ref('customer_rfm')) }}
