"""What a trained network is for: answers for any pictures, checked, explained, compared. Imports all but `training`."""
