select view_id, browser, login, path, viewed_at
from {{ ref('raw_page_views') }}
