# Opens the dashboard in headless Chromium and looks at each chart: it must have drawn, with data.
#
#   python check.py url user password screenshot.png
#
# Prints a TAP line for each chart.  What a chart drew is looked at in the page (a canvas, a number, rows of a
# table); that there is data behind it, in what Superset answered to the page.
import json
import sys
import time
from urllib.parse import parse_qs, urlparse

import requests
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE = 120  # seconds for the whole page


def charts_of(session, url):
    """The charts of the dashboard, by name: their numbers."""
    answer = session.get(f"{url}/api/v1/dashboard/cdp/charts")
    answer.raise_for_status()
    return {chart["slice_name"]: chart["id"] for chart in answer.json()["result"]}


def rows_of(browser):
    """What the queries of the charts answered while the page drew: rows by number of the chart."""
    rows = {}
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] != "Network.responseReceived" or "/api/v1/chart/data" not in message["params"]["response"]["url"]:
            continue
        asked = parse_qs(urlparse(message["params"]["response"]["url"]).query).get("form_data")
        if not asked:
            continue
        body = browser.execute_cdp_cmd("Network.getResponseBody", {"requestId": message["params"]["requestId"]})["body"]
        rows[json.loads(asked[0])["slice_id"]] = sum(part.get("rowcount") or 0 for part in json.loads(body).get("result", []))
    return rows


def commented(session, url):
    """Columns of the datasets, and how many of them show a comment."""
    columns = described = 0
    for dataset in session.get(f"{url}/api/v1/dataset/?q=(page_size:100)").json()["result"]:
        if dataset["schema"] != "cdp":
            continue
        for column in session.get(f"{url}/api/v1/dataset/{dataset['id']}").json()["result"]["columns"]:
            columns += 1
            described += bool(column["description"])
    return columns, described


def drawn(browser):
    """What each chart of the page shows: its name, and whether it drew."""
    found = {}
    for holder in browser.find_elements(By.CSS_SELECTOR, '[data-test="dashboard-component-chart-holder"]'):
        name = holder.find_elements(By.CSS_SELECTOR, '[data-test="editable-title-input"], .header-title')
        if not name:
            continue
        title = name[0].get_attribute("value") or name[0].text
        is_loading = bool(holder.find_elements(By.CSS_SELECTOR, ".loading"))
        failed = holder.find_elements(By.CSS_SELECTOR, '[role="alert"], .ant-alert-error, [data-test="chart-container"] .missing-chart-container')
        shows = holder.find_elements(By.CSS_SELECTOR, "canvas, .header-line, table tbody tr, svg.chart")
        found[title] = not is_loading and not failed and any(element.size["height"] > 5 for element in shows)
    return found


def main(url, user, password, picture):
    session = requests.Session()
    token = session.post(f"{url}/api/v1/security/login", json={"username": user, "password": password, "provider": "db"}).json()
    session.headers["Authorization"] = "Bearer " + token["access_token"]
    charts = charts_of(session, url)

    options = Options()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1400,3300"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    options.binary_location = "/usr/bin/chromium"
    browser = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    failed = 0
    try:
        browser.get(f"{url}/login/")
        WebDriverWait(browser, 60).until(lambda b: b.find_elements(By.CSS_SELECTOR, 'input[name="username"], [data-test="username-input"]'))
        browser.find_element(By.CSS_SELECTOR, 'input[name="username"], [data-test="username-input"]').send_keys(user)
        browser.find_element(By.CSS_SELECTOR, 'input[name="password"], [data-test="password-input"]').send_keys(password)
        browser.find_element(By.CSS_SELECTOR, 'button[type="submit"], [data-test="login-button"], input[type="submit"]').click()
        WebDriverWait(browser, 60).until(lambda b: "/login" not in b.current_url)
        browser.get(f"{url}/superset/dashboard/cdp/?standalone=1")
        end = time.time() + PATIENCE
        seen = {}
        while time.time() < end:
            time.sleep(2)
            # charts out of sight are drawn when they come into it
            browser.execute_script("window.scrollBy(0, 600)")
            for name, is_drawn in drawn(browser).items():
                seen[name] = seen.get(name, False) or is_drawn
            if len(seen) >= len(charts) and all(seen.values()):
                break
        browser.execute_script("window.scrollTo(0, 0)")
        time.sleep(2)
        browser.save_screenshot(picture)
        rows = rows_of(browser)
    finally:
        browser.quit()

    number = 0
    for name, chart in sorted(charts.items()):
        is_fine = rows.get(chart, 0) > 0 and seen.get(name, False)
        number += 1
        failed += not is_fine
        print(f"{'ok' if is_fine else 'not ok'} {number} - {name}: {rows.get(chart, 0)} rows, {'drawn' if seen.get(name) else 'not drawn'}")
    columns, described = commented(session, url)
    number += 1
    failed += columns == 0 or described < columns
    print(f"{'ok' if columns and described == columns else 'not ok'} {number} - {described} of {columns} columns of the views of cdp show their comment")
    print(f"1..{number}")
    return failed != 0


sys.exit(main(*sys.argv[1:]))
