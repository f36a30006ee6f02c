-- The orders are of 2011: moved so that the last one was yesterday, with all that happened beside them, because segments look back from now.
CREATE TEMP TABLE shift AS SELECT (current_date - 1 - max(invoice_date)::date) * interval '1 day' AS by FROM shop.order_line;
UPDATE shop.order_line SET invoice_date = invoice_date + (SELECT by FROM shift);
UPDATE crm.contact SET updated_at = updated_at + (SELECT by FROM shift);
UPDATE web.event SET occurred_at = occurred_at + (SELECT by FROM shift);
UPDATE support.ticket SET opened_at = opened_at + (SELECT by FROM shift);
