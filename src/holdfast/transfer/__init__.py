"""Take recorded history along: the journal as one file of JSON lines and back, the store's rows as Parquet."""
