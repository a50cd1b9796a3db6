"""What ships for tests: of those who use Holdfast, and of those who want to see what it claims."""
