# Superset for the dashboard of docs/superset, on one machine and for a look: its own metadata database,
# no cache, no queue.  CDP_BI_FOLDER is the folder that test/bi/run keeps it in.
import os

SQLALCHEMY_DATABASE_URI = "sqlite:///" + os.path.join(os.environ["CDP_BI_FOLDER"], "superset.db")
SECRET_KEY = os.environ["CDP_BI_SECRET"]
WTF_CSRF_ENABLED = False
TALISMAN_ENABLED = False
RATELIMIT_ENABLED = False
# The BI tool reads as the role analyst, which may read and nothing else.
SQLLAB_CTAS_NO_LIMIT = False
