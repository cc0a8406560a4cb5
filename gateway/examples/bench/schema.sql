create table account (id int primary key, balance bigint not null default 0, version bigint not null default 0);
create table transfer (id bigserial primary key, ts timestamptz default now());
create table entry (
  id bigserial primary key,
  transfer_id bigint references transfer (id),
  account_id int references account (id),
  amount bigint,
  balance_after bigint
);
insert into account select g from generate_series(1, 10000) g;
