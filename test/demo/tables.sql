-- The demo's source tables, as a sync tool would have left them: the shop's order lines, the CRM's contacts, the web site's events, the
-- support desk's tickets; and the contracts of a telephone company, whose customers are others.

CREATE SCHEMA shop;
CREATE TABLE shop.order_line (
	line_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	invoice_no text NOT NULL,
	stock_code text,
	description text,
	quantity integer NOT NULL,
	invoice_date timestamp NOT NULL,
	unit_price numeric NOT NULL,
	customer_id integer,
	country text
);

CREATE SCHEMA crm;
CREATE TABLE crm.contact (
	contact_id text PRIMARY KEY,
	updated_at timestamptz NOT NULL,
	first_name text,
	last_name text,
	email text,
	phone text,
	shop_customers integer[],
	country text,
	newsletter boolean NOT NULL
);

CREATE SCHEMA web;
CREATE TABLE web.event (
	event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	occurred_at timestamptz NOT NULL,
	event_name text NOT NULL,
	anonymous_id text,
	customer_id integer,
	email text
);

CREATE SCHEMA support;
CREATE TABLE support.ticket (
	ticket_id integer PRIMARY KEY,
	opened_at timestamptz NOT NULL,
	from_name text,
	from_address text,
	phone text,
	language text,
	topic text NOT NULL,
	satisfaction integer
);

CREATE SCHEMA telco;
CREATE TABLE telco.contract (
	customer_id text PRIMARY KEY,
	tenure integer NOT NULL,
	contract text NOT NULL,
	internet text NOT NULL,
	payment text NOT NULL,
	senior boolean NOT NULL,
	charges numeric NOT NULL,
	churn boolean NOT NULL
);
