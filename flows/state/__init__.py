"""What is remembered of rows: results, receipts, journals and leases."""
