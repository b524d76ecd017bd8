pub mod ddl;
