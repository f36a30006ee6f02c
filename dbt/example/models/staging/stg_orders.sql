select number, email, loyalty_card, total, status, ordered_at, changed_at
from {{ ref('raw_orders') }}
